"""The kinds of tests that the proof consists of: what each shows, where it stands, and how much of it is wanted.

The numbers of the quick form, which `make test` runs, stand in `tests/effort.py`; those of the long form stand here.
"""

from dataclasses import dataclass
from typing import Final

from tests.reliability.mutants import MUTANTS

DAMAGE: Final = "tests/reliability/test_damage.py"
DEPARTURES: Final = "tests/reliability/test_departures.py"
FAULTS: Final = "tests/reliability/test_store_faults.py"
FOUND_OUT: Final = "tests/reliability/test_mutants.py"
HISTORIES: Final = "tests/reliability/test_histories.py"
INTERLEAVINGS: Final = "tests/service/test_interleavings.py"
KEYS: Final = "tests/service/test_interleaved_keys.py"
KILLS: Final = "tests/reliability/test_kill.py"
LANE: Final = "tests/web/test_direct_lane.py"
ORDERS: Final = "tests/service/test_interleaved_orders.py"
UPGRADE: Final = "tests/storage/test_upgrade.py"
OVER_HTTP: Final = "tests/reliability/test_model_over_http.py"
SWEEP: Final = "tests/reliability/test_erasure_under_fire.py"
POWER: Final = "tests/reliability/test_power_loss.py"


@dataclass(frozen=True, slots=True)
class Effort:
    """A number of `tests/effort.py`, and the tests that are to make so many trials each.

    A test is a node id of pytest's, with its parameters or without. Where none is named, the number is no number of
    trials. What does not grow with `--scale` is no count.
    """

    variable: str
    long: int
    tests: tuple[str, ...] = ()
    scales: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of test: files or node ids of pytest's, run in a process of their own.

    `long_s` is about how many seconds the long form takes on one of two quiet cores. A kind that takes many times as
    long hangs.
    """

    name: str
    guarantees: str
    tests: tuple[str, ...]
    efforts: tuple[Effort, ...] = ()
    long_s: float = 60.0


SCENARIOS: Final = (
    f"{INTERLEAVINGS}::test_the_last_ticket_goes_to_one_of_many",
    f"{INTERLEAVINGS}::test_booking_and_cancelling_at_once_comes_out_in_some_order",
    f"{INTERLEAVINGS}::test_cancelling_and_resizing_at_once_comes_out_in_some_order",
    f"{INTERLEAVINGS}::test_cancellations_and_a_raised_capacity_at_once_promote_everybody_once",
    f"{INTERLEAVINGS}::test_two_events_live_side_by_side",
    f"{INTERLEAVINGS}::test_shutting_down_settles_what_is_pending_and_refuses_the_rest",
    f"{INTERLEAVINGS}::test_commits_that_fail_change_nothing_and_heal",
    f"{INTERLEAVINGS}::test_an_event_that_the_database_rejects_does_not_hurt_another",
    f"{INTERLEAVINGS}::test_an_unknown_outcome_ends_the_process_and_the_restart_knows_the_truth",
    f"{INTERLEAVINGS}::test_whoever_goes_away_at_any_await_leaves_nothing_behind",
    f"{ORDERS}::test_nobody_is_let_in_twice_nor_after_he_cancelled",
    f"{ORDERS}::test_of_two_gates_one_lets_a_guest_in_and_the_other_is_told_which",
    f"{KEYS}::test_a_booking_sent_four_times_at_once_has_one_effect_and_one_answer",
    f"{KEYS}::test_messages_that_arrive_twice_and_late_come_out_in_some_order",
)
"""The interleavings that are gone through most often; the others, which take longer, have a number of their own."""

KINDS: Final = (
    Kind(
        "model histories",
        "G1–G5, G7–G9, G11",
        ("tests/booking/test_model.py", "tests/service/test_model.py", OVER_HTTP),
        (
            Effort("MODEL_RUNS", 10_000, ("tests/booking/test_model.py::test_the_rules_agree_with_the_model",)),
            Effort("SERVICE_RUNS", 2_000, ("tests/service/test_model.py::test_the_box_office_agrees_with_the_model",)),
            Effort(
                "HTTP_RUNS",
                250,
                (
                    f"{OVER_HTTP}::test_the_original_routes_agree_with_the_model",
                    f"{OVER_HTTP}::test_the_whole_api_agrees_with_the_model",
                ),
            ),
            Effort("MODEL_STEPS", 50, scales=False),
        ),
        long_s=2_400,
    ),
    Kind(
        "interleavings",
        "G1–G9, G12–G14",
        (
            INTERLEAVINGS,
            ORDERS,
            KEYS,
            "tests/service/test_broken_box_offices.py",
            "tests/service/test_patience.py",
            "tests/service/test_seeded_loop.py",
        ),
        (Effort("INTERLEAVINGS", 20_000, SCENARIOS), Effort("OTHER_INTERLEAVINGS", 1_000)),
        long_s=1_500,
    ),
    Kind(
        "linearizability",
        "G1–G5, G7–G10, G12",
        (HISTORIES, "tests/web/test_rush.py", "tests/web/test_idempotency.py"),
        (
            Effort(
                "HISTORIES", 1_000, (f"{HISTORIES}::test_one_order_explains_what_concurrent_clients_were_answered",)
            ),
            Effort("OPERATIONS", 100_000, (f"{HISTORIES}::test_one_order_explains_a_long_history_with_faults",)),
        ),
        long_s=1_500,
    ),
    Kind(
        "kill -9",
        "G1–G11",
        (KILLS, UPGRADE),
        (
            Effort("KILLS", 1_000, (f"{KILLS}::test_what_was_answered_survives_kill_after_kill",)),
            Effort(
                "START_KILLS",
                200,
                (
                    f"{KILLS}::test_a_kill_while_the_server_starts_or_stops_changes_nothing",
                    f"{KILLS}::test_a_kill_while_the_very_first_start_makes_everything_does_no_harm",
                ),
            ),
            Effort("CHECKPOINT_KILLS", 300, (f"{KILLS}::test_a_kill_in_the_middle_of_a_checkpoint_loses_nothing",)),
            Effort(
                "UPGRADE_KILLS",
                400,
                (f"{UPGRADE}::test_a_kill_during_the_upgrade_leaves_the_one_version_or_the_other",),
            ),
        ),
        long_s=2_400,
    ),
    Kind(
        "power loss",
        "G6, G9, G11",
        (POWER, "tests/reliability/test_disk.py"),
        (Effort("POWER_CUTS", 50_000, (f"{POWER}::test_what_was_answered_survives_a_power_cut_at_any_instant",)),),
        long_s=420,
    ),
    Kind(
        "store faults",
        "G6, G7, G11–G14",
        (
            FAULTS,
            "tests/reliability/test_full_and_read_only.py",
            "tests/reliability/test_stalled_disk.py",
            "tests/storage/test_sqlite.py",
            "tests/web/test_server.py",
        ),
        (
            Effort(
                "FAULTS",
                1_200,
                (f"{FAULTS}::test_whichever_call_to_the_disk_fails_under_load_what_was_answered_stands",),
            ),
            Effort("COMMIT_TIMEOUT_S", 60, scales=False),
        ),
        long_s=900,
    ),
    Kind(
        "clients gone",
        "G7, G13",
        (DEPARTURES,),
        (Effort("DEPARTURES", 20_000, (f"{DEPARTURES}::test_who_is_gone_at_any_byte_leaves_his_order_or_nothing",)),),
        long_s=60,
    ),
    Kind(
        "hostile requests",
        "G7, G13, G14",
        (
            "tests/reliability/test_hostile_requests.py",
            "tests/reliability/test_slow_clients.py",
            "tests/web/test_hostile_input.py",
            "tests/web/test_hostile_api.py",
            "tests/web/test_fuzz.py",
            LANE,
            "tests/web/test_booking_limit.py",
            "tests/web/test_limiter.py",
            "tests/test_proxy.py",
        ),
        (
            Effort("FUZZ_EXAMPLES", 600),
            Effort(
                "SAME_ANSWERS",
                1_000,
                (f"{LANE}::test_both_answer_whatever_is_sent_with_the_same_bytes_and_note_the_same",),
            ),
        ),
        long_s=300,
    ),
    Kind("who may what", "–", ("tests/web/test_who_may_what.py",), long_s=20),
    Kind(
        "many streams, few files",
        "G8, G13, G14",
        ("tests/reliability/test_open_streams.py", "tests/reliability/test_few_files.py"),
        long_s=30,
    ),
    Kind("clocks", "G3, G8–G11, G13", ("tests/reliability/test_clock_steps.py",), long_s=40),
    Kind(
        "damage",
        "G8, G11",
        (DAMAGE,),
        (Effort("DAMAGES", 5_000, (f"{DAMAGE}::test_no_byte_that_flips_makes_another_truth",)),),
        long_s=120,
    ),
    Kind(
        "memory", "G13, G14", ("tests/reliability/test_memory.py",), (Effort("SOAK_S", 600, scales=False),), long_s=640
    ),
    Kind(
        "secrets and erasure",
        "–",
        (
            "tests/reliability/test_secrets.py",
            "tests/reliability/test_erasure_of_files.py",
            SWEEP,
            "tests/service/test_forgetting.py",
            "tests/storage/test_forgetting.py",
        ),
        (Effort("SWEEPS", 100),),
        long_s=600,
    ),
    Kind(
        "named mutants",
        "G1–G14",
        (FOUND_OUT,),
        (Effort("MUTANTS", len(MUTANTS), (f"{FOUND_OUT}::test_the_named_test_finds_the_mutant_out",), scales=False),),
        long_s=400,
    ),
)
