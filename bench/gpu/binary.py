"""The benchmark of kernels (cuda/bench), built for the GPU of this machine or for its emulation."""

import subprocess
import sys

from ledger import ROOT
from process import Problem


def build_binary(is_emulated):
    target = "compact-cuda-emulation-bench" if is_emulated else "compact-cuda-bench"
    folder = ROOT / "build" / "gpu-bench"
    configure = ["cmake", "-S", ROOT, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", "-DCOMPACT_ADDON=OFF"]
    if not is_emulated:
        configure.append("-DCOMPACT_CUDA_ARCHS=native")
    for command in (configure, ["cmake", "--build", folder, "--parallel", "--target", target]):
        try:
            subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr)
        except (OSError, subprocess.CalledProcessError) as reason:
            raise Problem(f"{target} was not built: {reason}") from None
    return next(path for path in folder.rglob(target) if path.is_file())
