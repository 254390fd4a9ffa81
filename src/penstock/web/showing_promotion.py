"""A promotion's, or a rollback's, pull request as the page shows it: pure functions.

In: what `lookout` found. Out: a `PromotionPage`, in the words of the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.app import lookout, rollbacks
from penstock.promote import gates, verdict
from penstock.web import showing, views

_ROW_ORDER: Mapping[verdict.State, int] = {"unexplained": 0, "beside": 1, "promoted": 2, "declared": 3, "kept": 4}


def page(found: lookout.Promotion, authors: tuple[tuple[str, str], ...], problems: tuple[str, ...]) -> views.PromotionPage:
    """Everything about one pull request."""
    pull, case, back = found.pull, found.case, found.back
    mark, words = standing(found)
    outcome = case.outcome if case else back.outcome if back else None
    conflicts = case.change.conflicts if case else ()
    return views.PromotionPage(
        number=pull.number,
        title=pull.title,
        url=pull.url,
        state=pull.state,
        draft=pull.draft,
        author=pull.author,
        head=pull.head_sha,
        branch=pull.head,
        base=pull.base,
        created=pull.created,
        merged=pull.merged,
        merged_by=pull.merged_by,
        unit=showing.title(found.unit),
        source=found.source,
        target=found.target,
        mark=mark,
        words=words,
        verdict=verdict_sentence(found),
        same=outcome.same and not conflicts if case and outcome else None,
        rows=field_rows(outcome) if outcome and not conflicts else (),
        conflicts=showing.conflict_rows(case) if case else (),
        gates=tuple(map(showing.gate, _verdicts(found))),
        commits=commits(case) if case else (),
        authors=authors,
        asked_by=rollbacks.login_of(back.asked_by) if back else "",
        by_hand=back is not None or (case is not None and not case.target.auto_merge),
        not_ready=_not_ready(found),
        reviews=tuple(
            views.ReviewRow(user=one.user, state=one.state, commit=one.commit, when=one.when, body=one.body)
            for one in found.reviews
        ),
        statuses=tuple(
            views.StatusRow(context=one.context, state=one.state, description=one.description, creator=one.creator)
            for one in sorted(found.statuses, key=lambda one: one.context)
        ),
        body=pull.body,
        problems=problems,
    )


def _verdicts(found: lookout.Promotion) -> tuple[gates.Verdict, ...]:
    if found.case is not None:
        return found.case.verdicts
    return found.back.verdicts if found.back is not None else ()


def _not_ready(found: lookout.Promotion) -> str:
    """Why it must not be merged by hand now."""
    case = found.case
    if case is None and found.back is None:
        return "nothing is computed about it"
    if case is not None and (case.change.conflicts or case.problem or case.head != found.pull.head_sha):
        return "it is not what would be proposed now"
    return next((one.text for one in _verdicts(found) if one.state != "passed"), "")


def standing(found: lookout.Promotion) -> tuple[views.Mark, str]:
    """The promotion's mark and what is next."""
    if found.pull.state == "merged":
        return "live", "merged"
    if found.pull.state == "closed":
        return "absent", "closed"
    if found.back is not None:
        waits = next((one for one in found.back.verdicts if one.state != "passed"), None)
        return "person", waits.text if waits else "approved: it can be merged"
    if found.case is None:
        return "unknown", "nothing is computed about it"
    return showing.case_mark(found.case), found.case.decision.reason


def verdict_sentence(found: lookout.Promotion) -> str:
    case = found.case
    if found.back is not None:
        if found.back.to is None:
            return "Counts once it is merged."
        return f"Takes {showing.title(found.unit)} in {found.target} back to what it was at {found.back.to[:7]}."
    if case is None:
        return found.record.verdict if found.record else ""
    if case.change.conflicts:
        count = len(case.change.conflicts)
        return f"Cannot be merged: {count} field{'s were' if count > 1 else ' was'} changed on both sides."
    if case.outcome is None:
        return f"Cannot be rendered: {case.problem}" if case.problem else ""
    return verdict.sentence(case.outcome, case.source.name, case.change.commit)


def field_rows(outcome: verdict.Outcome) -> tuple[views.FieldRow, ...]:
    return tuple(
        views.FieldRow(
            object=row.object,
            field=row.field,
            source=showing.text_of(row.source),
            before=showing.text_of(row.before),
            after=showing.text_of(row.after),
            state=row.state,
            meaning=_meaning(row),
        )
        for row in sorted(outcome.rows, key=lambda row: _ROW_ORDER[row.state])
    )


def _meaning(row: verdict.Row) -> str:
    place = row.difference.place if row.difference else None
    match row.state:
        case "declared":
            return f"kept, declared in {place.path}:{place.line}" if place else "kept, declared"
        case "unexplained":
            return "not carried over"
        case "beside":
            return "changes to something else"
        case state:
            return state


def commits(case: lookout.Case) -> tuple[views.Commit, ...]:
    return tuple(views.Commit(id=one.commit, subject=one.subject, author=one.author) for one in case.commits)
