"""Sources of a commit, read out of Git as a checkout would write them: nothing is unpacked for it.

Covers: which files there are, links among them, filters. Not covered: files in submodules, which Git keeps elsewhere.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from assay.core.errors import UsageError
from assay.runtime import git
from assay.runtime import source_roots as trees
from assay.runtime.source_roots import Tree

#: mode of a symbolic link in a tree of Git's
_LINK = "120000"
#: links that are followed one after the other, as the system does
_MOST_LINKS = 40


@dataclass(frozen=True)
class CommitTree(Tree):
    """Files of `commit`, named relative to the project at `root` as those of its work tree are."""

    commit: str = ""
    prefix: str = ""  # of `root` in its repository
    blobs: Mapping[str, str] = field(default_factory=dict, compare=False)  # path from the top → Git's hash
    links: Mapping[str, str] = field(default_factory=dict, compare=False)  # the same of symbolic links

    def has(self, file: Path) -> bool:
        return self._blob(file) in self.blobs

    def read(self, file: Path) -> bytes:
        path = self._blob(file)
        found = posixpath.relpath(path, self.prefix or ".")
        present = self.root / found
        if present.is_file() and _is_blob(content := present.read_bytes(), self.blobs.get(path, "")):
            return content  # three processes less for a file that is as it was
        old = git.read(self.root, self.commit, found)
        if old is None:
            raise UsageError(f"{found} is not in {self.commit[:12]}")
        return old

    def _blob(self, file: Path) -> str:
        """The path of `file` from the top of the repository, links followed."""
        path = PurePosixPath(posixpath.normpath(self.prefix + file.as_posix()))
        for _ in range(_MOST_LINKS):
            link = next((one for one in (path, *path.parents) if str(one) in self.links), None)
            if link is None:
                break
            leads = git.run(self.root, "cat-file", "blob", self.links[str(link)])
            path = PurePosixPath(posixpath.normpath(link.parent / leads / path.relative_to(link)))
        return str(path)


def commit_tree(home: Path, commit: str) -> CommitTree:
    """The sources of the project at `home` as of `commit`."""
    listed = git.run(home, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0")
    entries = [(words.split(), path) for words, _, path in (entry.partition("\t") for entry in listed if entry)]
    links = {path: words[2] for words, path in entries if words[0] == _LINK}
    blobs = {path: words[2] for words, path in entries if words[1] == "blob" and words[0] != _LINK}
    return CommitTree(home, trees.project(home).folders, False, commit, git.prefix(home), blobs, links)


def _is_blob(content: bytes, known: str) -> bool:
    """Whether Git would keep `content`, unfiltered, under the hash `known`."""
    digest = hashlib.sha256 if len(known) == 64 else hashlib.sha1
    return digest(b"blob %d\0" % len(content) + content).hexdigest() == known
