"""Accuracy on the validation part."""

import json
from pathlib import Path

import torch
import yaml
from network import accuracy, build, load

params = yaml.safe_load(Path("params.yaml").read_text())
model = build(params["hidden"], params["dropout"])
model.load_state_dict(torch.load("model.pt", weights_only=True))
Path("metrics.json").write_text(json.dumps({"accuracy": accuracy(model, *load("validation"))}))
