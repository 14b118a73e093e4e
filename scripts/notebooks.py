"""The notebooks in docs/, run from top to bottom and written back with what they show.

The kernel is this Python, with this checkout's package and no settings of yours. What it writes
goes to a folder that is removed at the end, or to --folder, where a network that was trained is
found again.
"""

import argparse
import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from slim_resnet import cli
from slim_resnet.common.environment import child_environment
from slim_resnet.common.files import atomic_write
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.errors import SlimResnetError

if TYPE_CHECKING:
    from nbformat import NotebookNode

DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"
NOTEBOOKS = {path.stem: path for path in sorted(DOCS.glob("*.ipynb"))}
# Ends the cell whose values another run may replace, as papermill has it.
PARAMETERS = "parameters"
_CELL_TIMEOUT_S = 3600


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="notebooks.py", description=__doc__)
    parser.add_argument("--only", choices=NOTEBOOKS, metavar="NAME",
                        help=f"one of {', '.join(NOTEBOOKS)} (default: all)")
    parser.add_argument("--folder", help="where they write (default: a temporary folder)")
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> None:
    for name in [arguments.only] if arguments.only else NOTEBOOKS:
        with contextlib.ExitStack() as stack:
            folder = arguments.folder or stack.enter_context(temporary_folder())
            notebook = executed(NOTEBOOKS[name], folder)
        with atomic_write(NOTEBOOKS[name]) as file:
            json.dump(notebook, file, indent=1, ensure_ascii=False, sort_keys=True)
            file.write("\n")
        print(f"{name}: {len(notebook.cells)} cells")


def executed(path: str | os.PathLike, folder: str | os.PathLike,
             parameters: Iterable[str] = ()) -> "NotebookNode":
    """Runs a notebook and returns it with its outputs, and without what is of this run only.

    Args:
      path: The notebook; it stays as it is.
      folder: Where it runs, and where the kernel keeps its own files.
      parameters: Lines of Python that are run right behind the cell tagged ``parameters``.

    Raises:
      SlimResnetError: nbclient is not installed.
      nbclient.exceptions.CellExecutionError: A cell failed.
    """
    try:
        import nbformat
        from jupyter_client.kernelspec import KernelSpecManager
        from jupyter_client.manager import AsyncKernelManager
        from nbclient import NotebookClient
    except ImportError as error:
        raise SlimResnetError("notebooks need nbclient: pip install 'slim-resnet[test]'") from error
    notebook = nbformat.read(path, as_version=4)
    if parameters:
        cell = nbformat.v4.new_code_cell("\n".join(parameters))
        after = next(number for number, cell in enumerate(notebook.cells)
                     if PARAMETERS in cell.metadata.get("tags", ()))
        notebook.cells.insert(after + 1, cell)
    with temporary_folder() as kernels:
        specification = os.path.join(kernels, "this", "kernel.json")
        os.makedirs(os.path.dirname(specification))
        with open(specification, "w") as file:
            json.dump({"argv": [sys.executable, "-m", "ipykernel_launcher", "-f",
                                "{connection_file}"],
                       "display_name": "this", "language": "python"}, file)
        manager = AsyncKernelManager(
            kernel_name="this", transport="ipc", ip=os.path.join(kernels, "socket"),
            connection_file=os.path.join(kernels, "connection.json"),
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[kernels],
                                                  ensure_native_kernel=False))
        client = NotebookClient(notebook, km=manager, timeout=_CELL_TIMEOUT_S,
                                resources={"metadata": {"path": os.fspath(folder)}})
        client.execute(env=child_environment(IPYTHONDIR=kernels, MPLCONFIGDIR=kernels),
                       cleanup_kc=True)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            # What TensorFlow says when it starts, with the places where it lies.
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata = nbformat.from_dict({
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"}})
    return notebook


if __name__ == "__main__":
    sys.exit(cli.run(build_parser()))
