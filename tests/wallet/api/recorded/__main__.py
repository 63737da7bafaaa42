"""Records again what the wallet's endpoints answer: `python -m tests.wallet.api.recorded [NAME...]`.

It plays scripts.py against the code as it is, and writes the recordings into this folder. A
diff then shows which answers the code has changed. pytest provides the server: see record.py.
"""

import sys
from pathlib import Path

import pytest

chosen = ["-k", " or ".join(sys.argv[1:])] if sys.argv[1:] else []
sys.exit(pytest.main(["-q", str(Path(__file__).with_name("record.py")), *chosen]))
