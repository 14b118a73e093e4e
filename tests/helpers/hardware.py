"""What this CPU has, as far as tests depend on it; conftest.py hides bfloat16 from most."""

from slim_resnet import compat
from slim_resnet.common import environment

HAS_BFLOAT16 = environment.has_bfloat16(environment.cpu()["flags"])
# Without oneDNN, TensorFlow has slow kernels for any CPU.
RUNS_BFLOAT16 = HAS_BFLOAT16 or not compat.onednn_enabled()
