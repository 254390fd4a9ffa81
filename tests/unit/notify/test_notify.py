"""What is told, to whom, in which words and how often: all of it decided without any I/O."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from penstock.model.notification import EVENTS, Notification
from penstock.notify import deciding, facts, pacing, routing, wording

COMMIT, NEXT = "a" * 40, "b" * 40
PROD = facts.Environment(name="prod", state="healthy", commit=COMMIT, object="flux-system/prod")
WEB = facts.Promotion(unit="web", source="dev", target="staging", commit=COMMIT, subject="raise timeout", author="dev")
CALM = facts.Facts(fleet="fleet", environments=(PROD,))


def told(before: facts.Facts | None, after: facts.Facts) -> list[str]:
    after = deciding.settled(before, after)
    return [f"{one.event}: {wording.headline(one)}" for one in deciding.news(before, after)]


def failing(why: str = "HealthCheckFailed: Deployment/web", commit: str = NEXT) -> facts.Facts:
    return replace(CALM, environments=(replace(PROD, state="failing", why=why, commit=commit),))


# Deciding


def test_two_same_looks_are_no_news() -> None:
    everything = replace(
        failing(),
        promotions=(replace(WEB, pull=3, waits=("one approval",)),),
        guards=(facts.Guard(kind="freeze", about="prod", reason="x"),),
        landed=(facts.Landed(commit=COMMIT, environment="prod", unit="web", kind="promotion"),),
    )
    assert told(everything, everything) == []


def test_the_first_look_tells_what_is_wrong_now_and_no_old_news() -> None:
    landed = facts.Landed(commit=COMMIT, environment="prod", unit="web", kind="bypass")
    assert told(None, replace(failing(), landed=(landed,), promotions=(replace(WEB, pull=3),))) == [
        "environment.failing: prod is failing at bbbbbbb"
    ]


def test_an_environment_fails_is_tried_again_and_recovers() -> None:
    trying = replace(CALM, environments=(replace(PROD, state="moving", commit=NEXT),))
    seen = [CALM, failing(), trying, failing(), trying, CALM]
    news: list[str] = []
    before = seen[0]
    for after in seen[1:]:
        news += told(before, after)
        before = deciding.settled(before, after)
    assert news == ["environment.failing: prod is failing at bbbbbbb", "environment.recovered: prod is healthy again at aaaaaaa"]


def test_the_same_failure_with_other_seconds_in_it_is_not_another_one() -> None:
    one, other = failing("timeout after 30.1s: Deployment/web"), failing("timeout after 1m2.5s: Deployment/web")
    assert told(one, other) == []
    assert told(one, failing("BuildFailed: kustomization.yaml")) == ["environment.failing: prod is failing at bbbbbbb"]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (replace(CALM, promotions=(replace(WEB, pull=3),)), ["promotion.opened: web from dev to staging is proposed"]),
        (
            replace(CALM, promotions=(replace(WEB, pull=3, waits=("1 approval",)),)),
            [
                "promotion.opened: web from dev to staging is proposed",
                "promotion.waiting: web from dev to staging waits for a person",
            ],
        ),
        (
            replace(CALM, promotions=(replace(WEB, conflicts=2),)),
            ["promotion.conflict: web from dev to staging: 2 fields need a decision"],
        ),
        (
            replace(
                CALM, landed=(facts.Landed(commit=NEXT, environment="prod", unit="web", kind="promotion", source="staging"),)
            ),
            ["promotion.merged: web from staging to prod is merged"],
        ),
        (
            replace(CALM, landed=(facts.Landed(commit=NEXT, environment="prod", unit="web", kind="bypass"),)),
            ["promotion.bypass: web in prod was changed past the gates"],
        ),
        (
            replace(CALM, landed=(facts.Landed(commit=NEXT, environment="prod", unit="_environment", kind="rollback"),)),
            ["promotion.rolled-back: the environment in prod was rolled back"],
        ),
        (
            replace(CALM, environments=(replace(PROD, state="silent", why="no answer"),)),
            ["environment.silent: the cluster of prod does not answer"],
        ),
        (replace(CALM, environments=(replace(PROD, drift="Deployment/web"),)), ["environment.drift: prod is not as Git says"]),
        (replace(CALM, environments=(replace(PROD, held="3 PVCs"),)), ["prune.held: a prune in prod waits for consent"]),
        (
            replace(CALM, guards=(facts.Guard(kind="freeze", about="prod", reason="launch"),)),
            ["freeze.begun: a freeze of prod is in force"],
        ),
        (
            replace(CALM, guards=(facts.Guard(kind="hold", about="web", reason="bug"),)),
            ["hold.begun: a hold of web is in force"],
        ),
    ],
    ids=lambda value: value[0].partition(":")[0] if isinstance(value, list) else "",
)
def test_every_event_is_told_when_it_begins(after: facts.Facts, expected: list[str]) -> None:
    assert told(CALM, after) == expected


def test_a_freeze_and_a_hold_end() -> None:
    guards = (facts.Guard(kind="freeze", about="prod", reason="x"), facts.Guard(kind="hold", about="web", reason="y"))
    assert told(replace(CALM, guards=guards), CALM) == [
        "freeze.ended: a freeze of prod is over",
        "hold.ended: a hold of web is over",
    ]


def test_every_event_of_the_table_can_be_told() -> None:
    frozen = replace(
        CALM, guards=(facts.Guard(kind="freeze", about="p", reason="x"), facts.Guard(kind="hold", about="w", reason="y"))
    )
    busy = replace(
        CALM,
        environments=(replace(PROD, drift="a", held="b", state="failing", why="c"),),
        promotions=(replace(WEB, pull=3, waits=("x",)), replace(WEB, unit="api", conflicts=1)),
        landed=tuple(
            facts.Landed(commit=NEXT, environment="prod", unit=kind, kind=kind) for kind in ("promotion", "bypass", "rollback")
        ),
    )
    looks = [(CALM, busy), (busy, CALM), (CALM, frozen), (frozen, CALM)]
    silent = replace(CALM, environments=(replace(PROD, state="silent", why="c"),))
    found = {one.event for before, after in [*looks, (CALM, silent)] for one in deciding.news(before, after)}
    assert found == set(EVENTS)


def test_a_key_is_the_same_for_the_same_news_and_another_for_other_news() -> None:
    keys = [deciding.news(CALM, look)[0].key for look in (failing(), failing(), failing(commit=COMMIT))]
    assert keys[0] == keys[1] != keys[2]


# Routing


def rule(**fields: object) -> Notification:
    return Notification(**{"name": "r", "to": ("team",), **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "goes"),
    [
        (rule(), True),
        (rule(events=("environment.*",)), True),
        (rule(events=("environment.failing",)), True),
        (rule(events=("promotion.*",)), False),
        (rule(environments=("prod",)), True),
        (rule(environments=("dev",)), False),
        (rule(severity="error"), True),
        (rule(apps=("web",)), True),
    ],
)
def test_a_rule_lets_through_what_it_names(given: Notification, goes: bool) -> None:
    assert bool(routing.route(deciding.news(CALM, failing()), [given])) is goes


def test_grave_only_leaves_out_what_is_not_and_an_app_leaves_out_others() -> None:
    opened = deciding.news(CALM, replace(CALM, promotions=(replace(WEB, pull=3),)))
    assert routing.route(opened, [rule(severity="warning")]) == ()
    assert routing.route(opened, [rule(apps=("api",))]) == ()
    assert [target for target, _ in routing.route(opened, [rule(apps=("web",)), rule(to=("team", "mail"))])] == ["team", "mail"]


def test_a_freeze_of_several_environments_concerns_the_rule_of_each() -> None:
    guard = facts.Guard(kind="freeze", about="staging, prod", reason="x", environments=("staging", "prod"))
    begun = deciding.news(CALM, replace(CALM, guards=(guard,)))
    assert routing.route(begun, [rule(environments=("prod",))])
    assert not routing.route(begun, [rule(environments=("dev",))])


# Wording

HOSTILE = (
    "<!channel> @everyone <@U1> [click](http://evil.test) `x` *b* <a href='x'>\x1b[2J\u202egnp | http://evil.test/"
    "\nSubject: spoof"
)


def hostile() -> facts.Message:
    promotion = replace(WEB, unit=HOSTILE, subject=HOSTILE, author=HOSTILE, pull=3, url="https://forge.test/3", waits=(HOSTILE,))
    return deciding.news(CALM, replace(CALM, promotions=(promotion,)))[1]


def test_no_dialect_lets_anybody_mention_link_format_or_break_out() -> None:
    message = hostile()
    slack = wording.slack(message)
    assert all(one["text"]["type"] == "plain_text" for one in slack["blocks"] if one["type"] == "section")
    assert all(
        one["type"] == "plain_text" for block in slack["blocks"] if block["type"] == "context" for one in block["elements"]
    )
    for part in ("<", ">", "@everyone", "http://", "`"):
        assert part not in slack["text"]
    teams = json.dumps(wording.teams(message))
    assert '"TextBlock"' not in teams, "a text block knows Markdown"
    chat = wording.defused(message).removesuffix("https://forge.test/3")
    for part in ("<", ">", "[", "]", "@everyone", "@U1", "http://", "`", "*"):
        assert part not in chat
    comment = wording.markdown(message)
    outside = "".join(comment.split("`")[::2])
    for part in ("@", "<", "http", "evil"):
        assert part not in outside
    for text in (json.dumps(slack), teams, chat, comment, wording.plain(message), json.dumps(wording.webhook(message))):
        assert "\x1b" not in text and "\\u001b" not in text
        assert "\u202e" not in text and "\\u202e" not in text


def test_an_email_subject_is_one_line() -> None:
    assert "\n" not in wording.subject(hostile())


def test_secrets_are_masked_in_every_dialect() -> None:
    why = "BuildFailed: https://token-canary-77@git.test refused token-canary-77"
    message = deciding.news(CALM, failing(why))[0]
    masked = ["token-canary-77"]
    for shown in (wording.slack, wording.teams, wording.webhook, wording.plain, wording.defused, wording.markdown):
        assert "canary" not in json.dumps(shown(message, masked))


def test_a_headline_with_braces_in_a_name_is_no_format() -> None:
    promotion = replace(WEB, unit="{0.__class__}{x}", pull=3)
    message = deciding.news(CALM, replace(CALM, promotions=(promotion,)))[0]
    assert wording.headline(message) == "{0.__class__}{x} from dev to staging is proposed"


# Pacing


def news(number: int) -> facts.Message:
    return deciding.news(CALM, failing(f"why {'x' * number}"))[0]


def test_the_same_news_is_queued_once() -> None:
    pace = pacing.Pace()
    assert pace.add(news(1), 0.0)
    assert not pace.add(news(1), 60.0)
    assert (len(pace), pace.repeated) == (1, 1)


def test_a_burst_goes_out_and_then_so_many_a_minute() -> None:
    pace = pacing.Pace(per_minute=6, burst=3)
    for number in range(5):
        pace.add(news(number), 0.0)
    now, times = 0.0, []
    while (wait := pace.wait(now)) is not None:
        now += wait
        times.append(now)
        pace.sent(pace.take(now))
    assert times == pytest.approx([0, 0, 0, 10, 20])


def test_a_failing_target_is_left_alone_longer_and_longer_and_given_up_at_last() -> None:
    pace = pacing.Pace()
    pace.add(news(1), 0.0)
    now, waits = 0.0, []
    while (wait := pace.wait(now)) is not None:
        waits.append(wait)
        now += wait
        pace.failed(pace.take(now), now)
    assert waits[:6] == pytest.approx([0, 1, 2, 4, 8, 16])
    assert max(waits) <= 300
    assert (pace.dropped, len(pace)) == (1, 0)


def test_a_full_queue_drops_the_oldest_and_counts_it() -> None:
    pace = pacing.Pace(capacity=3)
    for number in range(10):
        pace.add(news(number), 0.0)
    assert (len(pace), pace.dropped) == (3, 7)
    assert pace.take(0.0).key == news(7).key


def test_a_refusal_is_not_tried_again_and_patience_is_as_long_as_asked() -> None:
    pace = pacing.Pace()
    for number in range(2):
        pace.add(news(number), 0.0)
    pace.failed(pace.take(0.0), 0.0, hopeless=True)
    assert (len(pace), pace.dropped) == (1, 1)
    pace.failed(pace.take(10.0), 10.0, retry_after=60)
    assert pace.wait(10.0) == pytest.approx(60)
