"""Third blind round of the doctor: faults in the manner of posted scripts, committed before the first look.

    python benchmarks/doctor_blind_3.py [--seeds 3] [--part static|short|loops|harm] [--only NAME …]

Faults stand in doctor_blind_static_3.py and doctor_blind_loops_3.py. What counts as found is said in doctor_blind_1.py,
which also runs this round.
"""

from __future__ import annotations

from doctor_blind_1 import run
from doctor_blind_loops_3 import LOOPS
from doctor_blind_static_3 import STATIC

if __name__ == "__main__":
    run(__doc__, STATIC, LOOPS)
