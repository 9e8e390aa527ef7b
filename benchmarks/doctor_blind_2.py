"""Second blind round of the doctor: faults of other kinds than the first round's, committed before the first look.

    python benchmarks/doctor_blind_2.py [--seeds 3] [--part static|short|loops|harm] [--only NAME …]

Faults stand in doctor_blind_models_2.py, doctor_blind_training_2.py and doctor_blind_loops_2.py. What counts as found
is said in doctor_blind_1.py, which also runs this round.
"""

from __future__ import annotations

from doctor_blind_1 import run
from doctor_blind_loops_2 import LOOPS
from doctor_blind_models_2 import MODELS
from doctor_blind_training_2 import TRAINING

STATIC = MODELS | TRAINING

if __name__ == "__main__":
    run(__doc__, STATIC, LOOPS)
