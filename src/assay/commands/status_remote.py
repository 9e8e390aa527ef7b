"""Remotes in `assay status`: what is on none, and what another clone called alike."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from shlex import quote

from assay.acceptance import name_conflicts
from assay.commands.status_project import StatusProject, few
from assay.core.paths import ProjectPaths
from assay.history.experiments import Repository
from assay.report.json_rows import StatusLine
from assay.runtime import git


def lines(project: StatusProject) -> Iterator[StatusLine]:
    layout, tree, repository = project.layout, project.tree, project.repository
    fetched = any(name.startswith("refs/remotes/") for name in repository.refs)
    if not fetched and not git.run(layout.root, "remote", check=False):
        yield StatusLine(topic="remote", text="none is set: nothing is backed up")
        return
    if tree.branch and not tree.upstream:
        text = f"{tree.branch} was never pushed"
        yield StatusLine(topic="remote", text=text, hint=f"git push -u --follow-tags origin {quote(tree.branch)}")
    elif tree.ahead:
        text = f"{tree.ahead} commit(s) of {tree.branch} are not in {tree.upstream}"
        yield StatusLine(topic="remote", text=text, hint="git push --follow-tags && dvc push")
    if tree.behind:
        text = f"{tree.upstream} has {tree.behind} commit(s) that {tree.branch} has not"
        yield StatusLine(topic="remote", text=text, hint="git pull && dvc pull")
    missing = _tags_elsewhere(layout, repository)
    tagged = {tag.name: tag.commit for tag in repository.tags}
    taken_there = {name: there for name in missing if (there := name_conflicts.branch(layout.root, name, tagged[name]))}
    for name, there in taken_there.items():
        text = f"{there} has another {name} than this clone"
        hint = f"{name_conflicts.way_out(name, there)}, then accept the experiment under another name"
        yield StatusLine(topic="remote", text=text, hint=hint)
    missing = [name for name in missing if name not in taken_there]
    if missing and tree.branch and (tree.ahead or not tree.upstream):  # the push of the branch takes its tags along
        taken = git.run(layout.root, "for-each-ref", "--format=%(refname)", "--merged=HEAD", "refs/tags").split("\n")
        missing = [name for name in missing if f"refs/tags/{name}" not in taken]
    if missing:
        text = f"the commits of {few(missing)} are on no remote branch"
        yield StatusLine(topic="remote", text=text, hint=f"git push origin {shlex.join(missing[:5])}")


def _tags_elsewhere(layout: ProjectPaths, repository: Repository) -> list[str]:
    """Tags of strategies whose commit no remote branch contains, as far as was last fetched."""
    tags = [tag for tag in repository.tags if tag.name.startswith("strategy/") and tag.event is not None]
    if not tags:
        return []
    fetched = [f"^{ref.object}" for ref in repository.refs.values() if ref.name.startswith("refs/remotes/")]
    asked = "\n".join([*{tag.commit for tag in tags}, *fetched])
    listed = set(git.run(layout.root, "rev-list", "--stdin", stdin=asked, check=False).split())
    return [tag.name for tag in tags if tag.commit in listed]
