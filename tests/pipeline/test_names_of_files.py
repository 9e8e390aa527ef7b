"""Names beyond ASCII under locales that name files otherwise than Git: the same files are meant."""

from __future__ import annotations

import subprocess
import sys

from support.project import Project, environment

LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def test_a_project_and_a_file_of_it(fresh: Project) -> None:
    root = fresh.root.rename(fresh.root.with_name("pröject"))
    project = Project(root, fresh.home)
    (root / "src/tasks/digits/größe.py").write_text("X = 1\n", encoding="utf-8")
    project.edit("src/tasks/digits/learning.py", "import torch\n", "import torch\nfrom tasks.digits import größe\n")

    def context() -> subprocess.CompletedProcess[bytes]:
        environ = environment(project.home) | LOCALE
        return subprocess.run(["assay", "stage", "context"], cwd=root, env=environ, capture_output=True)

    refused = context()
    assert refused.returncode == 4, refused.stderr
    assert b"Git does not track it; next: git add 'src/tasks/digits/gr\\xf6\\xdfe.py'" in refused.stderr, refused.stderr
    project.git("add", "src/tasks/digits/größe.py")
    project.edit("dvc.yaml", "      - src/tasks/${task.name}/learning.py\n", "      - src/tasks/${task.name}\n")
    done = context()
    assert done.returncode == 0, done.stderr

    command = [sys.executable, "-m", "assay", "reject", "größe", "--why", "grün"]
    environ = environment(project.home) | LOCALE | {"PYTHONPATH": str(root / "src")}
    said = subprocess.run(command, cwd=root, env=environ, capture_output=True)
    assert said.returncode == 2 and "'größe'".encode() in said.stderr, said.stderr
