"""One seed."""

from pathlib import Path

import torch
import yaml
from network import load, train

params = yaml.safe_load(Path("params.yaml").read_text())
torch.save(train(*load("train"), params).state_dict(), "model.pt")
