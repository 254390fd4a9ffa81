"""Rows as Gitea's JSON. In: stored values and the server's URL. Out: the objects of its REST API v1, field for field.

Fields that exist only to be there (a milestone, an avatar) have Gitea's empty value. Source: Gitea's swagger,
definitions PullRequest, PullReview, Comment, CommitStatus, Label, Repository, Hook, BranchProtection, Team.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pygit2

from penstock.sandbox.forge.pulls import Pulls
from penstock.sandbox.forge.store import Pull, Repository, Review, Rules, Store

Json = dict[str, Any]


class Shapes:
    """Builds answers; `url` is the server's root without a final slash."""

    def __init__(self, url: str, store: Store, pulls: Pulls) -> None:
        self.url = url
        self._store = store
        self._pulls = pulls

    def user(self, login: str) -> Json:
        return {
            "id": self._store.user_id(login),
            "login": login,
            "login_name": "",
            "full_name": "",
            "email": address_of(login),
            "avatar_url": "",
            "html_url": f"{self.url}/{login}",
            "language": "",
            "is_admin": False,
            "active": True,
            "username": login,
        }

    def repository(self, of: Repository) -> Json:
        page = f"{self.url}/{of.full_name}"
        return {
            "id": of.id,
            "owner": self.user(of.owner),
            "name": of.name,
            "full_name": of.full_name,
            "description": "",
            "empty": not self._pulls.bare(of).branches(),
            "private": True,
            "fork": False,
            "html_url": page,
            "url": f"{self.url}/api/v1/repos/{of.full_name}",
            "ssh_url": "",
            "clone_url": f"{page}.git",
            "default_branch": of.default_branch,
            "archived": False,
            "created_at": of.created,
            "updated_at": of.created,
            "permissions": {"admin": True, "push": True, "pull": True},
            "has_pull_requests": True,
            "allow_merge_commits": True,
            "allow_squash_merge": True,
            "allow_rebase": True,
        }

    def pull(self, repository: Repository, pull: Pull) -> Json:
        bare = self._pulls.bare(repository)
        head, base = self._pulls.head(repository, pull), self._pulls.base(repository, pull)
        page = f"{self.url}/{repository.full_name}/pulls/{pull.number}"
        return {
            "id": pull.id,
            "url": page,
            "number": pull.number,
            "user": self.user(pull.author),
            "title": pull.title,
            "body": pull.body,
            "labels": [self.label(row, repository) for row in self._store.pull_labels(pull.id)],
            "milestone": None,
            "assignee": None,
            "assignees": None,
            "requested_reviewers": [],
            "requested_reviewers_teams": [],
            "state": pull.state,
            "draft": pull.draft,
            "is_locked": False,
            "comments": len(self._store.rows("select 1 from comments where pull = ?", pull.id)),
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "mergeable": self._pulls.mergeable(repository, pull),
            "merged": pull.merged is not None,
            "merged_at": pull.merged,
            "merge_commit_sha": pull.merge_sha,
            "merged_by": self.user(pull.merged_by) if pull.merged_by else None,
            "allow_maintainer_edit": False,
            "base": {
                "label": pull.base,
                "ref": pull.base,
                "sha": base,
                "repo_id": repository.id,
                "repo": self.repository(repository),
            },
            "head": {
                "label": pull.head,
                "ref": pull.head,
                "sha": head,
                "repo_id": repository.id,
                "repo": self.repository(repository),
            },
            "merge_base": (bare.merge_base(base, head) or "") if base else "",
            "due_date": None,
            "created_at": pull.created,
            "updated_at": pull.updated,
            "closed_at": pull.closed,
            "pin_order": 0,
        }

    def review(self, repository: Repository, pull: Pull, review: Review) -> Json:
        page = f"{self.url}/{repository.full_name}/pulls/{pull.number}"
        return {
            "id": review.id,
            "user": self.user(review.user),
            "team": None,
            "state": review.state,
            "body": review.body,
            "commit_id": review.commit_id,
            "stale": review.commit_id != self._pulls.head(repository, pull),
            "official": review.official,
            "dismissed": review.dismissed,
            "comments_count": 0,
            "submitted_at": review.created,
            "updated_at": review.created,
            "html_url": f"{page}#review-{review.id}",
            "pull_request_url": page,
        }

    def comment(self, repository: Repository, number: int, row: sqlite3.Row) -> Json:
        page = f"{self.url}/{repository.full_name}/pulls/{number}"
        return {
            "id": row["id"],
            "html_url": f"{page}#comment-{row['id']}",
            "pull_request_url": page,
            "issue_url": "",
            "user": self.user(row["user"]),
            "original_author": "",
            "original_author_id": 0,
            "body": row["body"],
            "assets": [],
            "created_at": row["created"],
            "updated_at": row["updated"],
        }

    def status(self, repository: Repository, row: sqlite3.Row) -> Json:
        return {
            "id": row["id"],
            "status": row["state"],
            "target_url": row["target_url"],
            "description": row["description"],
            "url": f"{self.url}/api/v1/repos/{repository.full_name}/statuses/{row['sha']}",
            "context": row["context"],
            "creator": self.user(row["creator"]),
            "created_at": row["created"],
            "updated_at": row["created"],
        }

    def label(self, row: sqlite3.Row, repository: Repository) -> Json:
        url = f"{self.url}/api/v1/repos/{repository.full_name}/labels/{row['id']}"
        return {"id": row["id"], "name": row["name"], "exclusive": False, "is_archived": False, "color": row["color"],
                "description": row["description"], "url": url}  # fmt: skip

    def branch(self, repository: Repository, name: str, commit: str) -> Json:
        found = self._pulls.bare(repository).commit(commit)
        rules = self._store.rules(repository.id, name)
        return {
            "name": name,
            "commit": {"id": commit, "message": found.message if found else "", "url": ""},
            "protected": rules is not None,
            "required_approvals": rules.required_approvals if rules else 0,
            "enable_status_check": bool(rules and rules.status_check_contexts),
            "status_check_contexts": list(rules.status_check_contexts) if rules else [],
            "user_can_push": rules is None or rules.enable_push,
            "user_can_merge": True,
        }

    def commit(self, repository: Repository, commit: pygit2.Commit) -> Json:
        sha = str(commit.id)
        return {
            "url": f"{self.url}/api/v1/repos/{repository.full_name}/git/commits/{sha}",
            "sha": sha,
            "author": self._user_at(commit.author.email),
            "committer": self._user_at(commit.committer.email),
            "html_url": f"{self.url}/{repository.full_name}/commit/{sha}",
            "commit": {
                "message": commit.message,
                "author": {"name": commit.author.name, "email": commit.author.email},
                "committer": {"name": commit.committer.name, "email": commit.committer.email},
                "tree": {"sha": str(commit.tree_id)},
            },
            "parents": [{"sha": str(parent)} for parent in commit.parent_ids],
        }

    def _user_at(self, address: str) -> Json | None:
        """The user an address belongs to; None for a stranger's."""
        login = address.partition("@")[0]
        return self.user(login) if address == address_of(login) and self._store.user_id(login) else None

    def hook(self, row: sqlite3.Row) -> Json:
        return {
            "id": row["id"],
            "type": "gitea",
            "branch_filter": "*",
            "config": {"content_type": "json", "url": row["url"]},
            "events": json.loads(row["events"]),
            "authorization_header": "",
            "active": bool(row["active"]),
            "created_at": row["created"],
            "updated_at": row["created"],
        }

    def team(self, row: Json) -> Json:
        return {"id": row["id"], "name": row["name"], "description": "", "permission": "write", "includes_all_repositories": True}


def address_of(login: str) -> str:
    """A user's mail address: made up, and the same as the real Gitea of the tests has."""
    return f"{login}@localhost.invalid"


def protection(branch: str, rules: Rules) -> Json:
    """A branch's rules as a BranchProtection."""
    return {
        "branch_name": branch,
        "rule_name": branch,
        "enable_push": rules.enable_push,
        "enable_push_whitelist": bool(rules.push_whitelist_usernames),
        "push_whitelist_usernames": list(rules.push_whitelist_usernames),
        "enable_status_check": bool(rules.status_check_contexts),
        "status_check_contexts": list(rules.status_check_contexts),
        "required_approvals": rules.required_approvals,
        "block_on_rejected_reviews": rules.block_on_rejected_reviews,
        "dismiss_stale_approvals": rules.dismiss_stale_approvals,
    }
