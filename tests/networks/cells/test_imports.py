import subprocess
import sys
from pathlib import Path


def test_the_space_is_loaded_without_torch():
    script = (
        "import sys; import automcu.networks.cells.accuracies, automcu.networks.cells.survey, "
        "automcu.networks.transformers.survey; sys.exit('torch' in sys.modules)"
    )
    repository = Path(__file__).parents[3]
    assert (
        subprocess.run([sys.executable, "-c", script], cwd=repository, check=False).returncode == 0
    )
