"""Settings: what is read from the environment, and how every mistake is told."""

from collections.abc import Mapping
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.settings_table import markdown_table
from tests.web.unhurried import UNHURRIED
from webapp.settings import SETTINGS, Settings, SettingsInvalid, environment
from webapp.weak_passwords import COMMON, LENGTH_MIN

SECRET = "0123456789abcdef0123456789abcdef"


def mistakes(environ: Mapping[str, str]) -> list[str]:
    """The sentences that an environment is refused with."""
    with pytest.raises(SettingsInvalid) as refused:
        Settings.read(environ)
    return refused.value.mistakes


def test_nothing_has_to_be_set() -> None:
    assert Settings.read({}) == Settings(
        host="127.0.0.1",
        port=3000,
        public_url=None,
        trusted_proxies=(),
        data_dir=Path("data"),
        database=Path("data/fairlist.db"),
        admin_user="admin",
        admin_pass=None,
        auth_secret=None,
        token_exp_s=3_600,
        app_env="production",
        pending_max=10_000,
        streams_max=2_000,
        streams_per_address=50,
        bookings_per_minute=300,
        desk_idle_s=600,
        erase_after_days=0,
        direct_lane=True,
    )


def test_everything_can_be_set() -> None:
    assert Settings.read(
        {
            "HOST": "::",
            "PORT": "0",
            "PUBLIC_URL": "https://tickets.example.org/",
            "TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8,fd00::/8",
            "DATA_DIR": "/var/lib/fairlist",
            "DATABASE_URL": "sqlite:////srv/gigs.db",
            "ADMIN_USER": "ada",
            "ADMIN_PASS": "correct horse: battery",
            "AUTH_SECRET": SECRET,
            "TOKEN_EXP": "15m",
            "APP_ENV": "production",
            "PENDING_MAX": "1",
            "STREAMS_MAX": "10",
            "STREAMS_PER_ADDRESS": "2",
            "BOOKINGS_PER_MINUTE": "0",
            "DESK_IDLE_S": "30",
            "ERASE_AFTER_DAYS": "90",
        }
    ) == Settings(
        host="::",
        port=0,
        public_url="https://tickets.example.org",
        trusted_proxies=(ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("fd00::/8")),
        data_dir=Path("/var/lib/fairlist"),
        database=Path("/srv/gigs.db"),
        admin_user="ada",
        admin_pass="correct horse: battery",
        auth_secret=SECRET.encode(),
        token_exp_s=900,
        app_env="production",
        pending_max=1,
        streams_max=10,
        streams_per_address=2,
        bookings_per_minute=0,
        desk_idle_s=30,
        erase_after_days=90,
        direct_lane=True,
    )


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert Settings.read({setting.name: "" for setting in SETTINGS} | {"ADMIN_PASS_FILE": ""}) == Settings.read({})


def test_variables_of_others_are_left_alone() -> None:
    assert Settings.read({"PATH": "/bin", "port": "x", "HOSTNAME": "y", "PORT_FILE": "/no/such"}) == Settings.read({})


def test_the_database_is_in_the_data_folder_unless_told_otherwise() -> None:
    assert Settings.read({"DATA_DIR": "/srv"}).database == Path("/srv/fairlist.db")
    assert Settings.read({"DATA_DIR": "/srv", "DATABASE_URL": "sqlite:///gigs/all.db"}).database == Path("gigs/all.db")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("15m", 900), ("1h", 3_600), ("7d", 604_800), ("90", 90), ("1", 1), ("365d", 31_536_000)],
)
def test_a_token_lasts_as_long_as_is_said(text: str, seconds: int) -> None:
    assert Settings.read({"TOKEN_EXP": text}).token_exp_s == seconds


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://localhost:3000", "http://localhost:3000"),
        ("HTTPS://Tickets.Example.org", "https://tickets.example.org"),
        ("https://tickets.example.org:443/", "https://tickets.example.org"),
        ("http://tickets.example.org:080", "http://tickets.example.org"),
        ("http://tickets.example.org:443", "http://tickets.example.org:443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_the_public_url_is_an_origin_as_browsers_write_it(text: str, origin: str) -> None:
    assert Settings.read({"PUBLIC_URL": text}).public_url == origin


@pytest.mark.parametrize("host", ["localhost", "192.0.2.7", "::1", "tickets.example.org", "my-host"])
def test_a_host_is_an_address_or_a_name(host: str) -> None:
    assert Settings.read({"HOST": host}).host == host


WHERE_TO_LISTEN = "must be an address or a host name without port, such as 127.0.0.1, 0.0.0.0, :: or localhost."
A_TIME = "must be a time such as 30s, 15m, 1h, 7d, or seconds such as 3600; at least 1s, at most 365d."
A_FILE = "must name a file and nothing else: sqlite:///below/here.db or sqlite:////from/the/root.db."
SQLITE = "must begin with sqlite:///, because SQLite is the one database that Fairlist can use."
NO_MEMORY = "must name a file, such as sqlite:///data/fairlist.db. Without one, use APP_ENV=test."
CARRIED = "which Basic authentication cannot carry."
AN_ORIGIN = "must be an origin without path, such as https://tickets.example.org."
NETWORKS = "must be addresses or networks with commas between, such as 127.0.0.1, 10.0.0.0/8, fd00::/8: "
LONGER = "`openssl rand -base64 32` makes a good one; without the setting, one is generated and kept."


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("HOST", "127.0.0.1:3000", WHERE_TO_LISTEN),
        ("HOST", "256.0.0.1", WHERE_TO_LISTEN),
        ("HOST", "[::1]", WHERE_TO_LISTEN),
        ("HOST", "http://localhost", WHERE_TO_LISTEN),
        ("HOST", "two words", WHERE_TO_LISTEN),
        ("PORT", "65536", "must be a whole number from 0 to 65535."),
        ("PORT", "-1", "must be a whole number from 0 to 65535."),
        ("PORT", "3000.0", "must be a whole number from 0 to 65535."),
        ("PORT", "http", "must be a whole number from 0 to 65535."),
        ("PORT", "\u0663", "must be a whole number from 0 to 65535."),
        ("PORT", "9" * 5_000, "must be a whole number from 0 to 65535."),
        ("APP_ENV", "development", "must be production, demo or test."),
        ("APP_ENV", "Test", "must be production, demo or test."),
        ("DATABASE_URL", "postgres://ada:secret@db/fairlist", SQLITE),
        ("DATABASE_URL", "data/fairlist.db", SQLITE),
        ("DATABASE_URL", "sqlite://data.db", SQLITE),
        ("DATABASE_URL", "sqlite:///", NO_MEMORY),
        ("DATABASE_URL", "sqlite:///:memory:", NO_MEMORY),
        ("DATABASE_URL", "sqlite:///data/", A_FILE),
        ("DATABASE_URL", "sqlite:///a.db?mode=ro", A_FILE),
        ("ADMIN_USER", "ada:l", f"must have neither a colon nor control characters, {CARRIED}"),
        ("ADMIN_USER", "ada\n", f"must have neither a colon nor control characters, {CARRIED}"),
        ("ADMIN_USER", "x" * 256, "must have at most 255 characters, and has 256."),
        ("ADMIN_PASS", "a\x00b", f"must have no control characters, {CARRIED}"),
        ("ADMIN_PASS", "x" * 1_025, "must have at most 1024 characters, and has 1025."),
        ("AUTH_SECRET", "change-me", f"must have at least 32 bytes, and has 9. {LONGER}"),
        ("AUTH_SECRET", "x" * 31, f"must have at least 32 bytes, and has 31. {LONGER}"),
        ("TOKEN_EXP", "0", A_TIME),
        ("TOKEN_EXP", "0h", A_TIME),
        ("TOKEN_EXP", "-1h", A_TIME),
        ("TOKEN_EXP", "1.5h", A_TIME),
        ("TOKEN_EXP", "1w", A_TIME),
        ("TOKEN_EXP", "h", A_TIME),
        ("TOKEN_EXP", "366d", A_TIME),
        ("TOKEN_EXP", "1h30m", A_TIME),
        ("TRUSTED_PROXIES", "10.0.0.1/8", f"{NETWORKS}10.0.0.1/8 has host bits set."),
        ("TRUSTED_PROXIES", "proxy", f"{NETWORKS}'proxy' does not appear to be an IPv4 or IPv6 network."),
        ("PUBLIC_URL", "tickets.example.org", AN_ORIGIN),
        ("PUBLIC_URL", "ftp://tickets.example.org", AN_ORIGIN),
        ("PUBLIC_URL", "https://tickets.example.org/gigs", AN_ORIGIN),
        ("PUBLIC_URL", "https://ada:secret@tickets.example.org", AN_ORIGIN),
        ("PUBLIC_URL", "https://tickets.example.org?x", AN_ORIGIN),
        ("PUBLIC_URL", "https://tickets.example.org:0", AN_ORIGIN),
        ("PUBLIC_URL", "https://tickets.example.org:65536", AN_ORIGIN),
        ("PUBLIC_URL", "https://", AN_ORIGIN),
        ("PUBLIC_URL", "https://<b>", AN_ORIGIN),
        ("PENDING_MAX", "0", "must be a whole number from 1 to 1000000."),
        ("STREAMS_MAX", "many", "must be a whole number from 1 to 100000."),
        ("STREAMS_PER_ADDRESS", "0", "must be a whole number from 1 to 100000."),
        ("BOOKINGS_PER_MINUTE", "-1", "must be a whole number from 0 to 1000000."),
        ("BOOKINGS_PER_MINUTE", "1000001", "must be a whole number from 0 to 1000000."),
        ("DESK_IDLE_S", "0", "must be a whole number from 1 to 31536000."),
        ("ERASE_AFTER_DAYS", "-1", "must be a whole number from 0 to 36500."),
        ("ADMIN_PASS", "\udcff", "must be UTF-8 text."),
    ],
)
def test_a_mistake_is_told_with_what_would_be_right(name: str, value: str, sentence: str) -> None:
    assert mistakes({name: value}) == [f"{name} {sentence}"]


@pytest.mark.parametrize(
    "password", ["battery horse", "yourpass", "83920174650", "a b c d e", "😀😁😂🤣😃😄😅😆", "x" * 64]
)
def test_a_password_of_any_signs_and_of_any_length_from_eight_on_is_taken(password: str) -> None:
    settings = Settings.read({"ADMIN_PASS": password})
    assert (settings.admin_pass, settings.warning) == (password, None)


BESIDES = "should have 8 characters besides the user name and words that are guessed first ("
GUESSED = "is among the passwords that are guessed first; where none is set, a good one is generated."


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("x", "has 1 characters; it should have 8 at least, better 15."),
        ("hunter7", "has 7 characters; it should have 8 at least, better 15."),
        ("12345678", GUESSED),
        ("Iloveyou", GUESSED),
        ("changeme", GUESSED),
        ("PASSWORD", GUESSED),
        ("Fairlist-2026!", BESIDES),
        ("ADMINistrator1", BESIDES),
        ("ada.lovelace99", BESIDES),
        ("ticket ticket booking", BESIDES),
    ],
)
def test_a_password_that_is_guessed_first_is_warned_of_and_not_shown(password: str, sentence: str) -> None:
    told = Settings.read({"ADMIN_USER": "Ada.Lovelace", "ADMIN_PASS": password}).warning
    assert told is not None
    assert told.startswith(f"ADMIN_PASS {sentence}")
    assert password == "x" or password not in told


@pytest.mark.parametrize("app_env", ["test", "demo"])
def test_where_nothing_is_to_be_guarded_no_password_is_warned_of(app_env: str) -> None:
    assert Settings.read({"APP_ENV": app_env}).warning is None


def test_a_name_of_few_letters_spoils_no_password() -> None:
    assert Settings.read({"ADMIN_USER": "ea", "ADMIN_PASS": "sea breeze"}).warning is None


def test_the_passwords_that_are_warned_of_are_more_than_three_thousand_of_those_that_could_be_set() -> None:
    common = COMMON.read_text().splitlines()
    assert len(set(common)) == len(common) > 3_000
    assert [password for password in common if len(password) < LENGTH_MIN or password != password.casefold()] == []


def test_all_mistakes_are_told_at_once() -> None:
    told = mistakes({"PORT": "x", "TOKEN_EXP": "x", "APP_ENV": "x", "AUTH_SECRET": "x", "PUBLIC_URL": "x"})

    assert {sentence.split()[0] for sentence in told} == {"PORT", "TOKEN_EXP", "APP_ENV", "AUTH_SECRET", "PUBLIC_URL"}


@pytest.mark.parametrize("app_env", ["test", "demo"])
def test_the_modes_for_trying_out_cannot_open_a_real_database(app_env: str) -> None:
    settings = Settings.read({"APP_ENV": app_env, "DATA_DIR": "/var/lib/fairlist"})

    assert settings.data_dir is None
    assert settings.database is None


@pytest.mark.parametrize("app_env", ["test", "demo"])
@pytest.mark.parametrize(
    "set_",
    [
        {"DATABASE_URL": "sqlite:///data/fairlist.db"},
        {"ADMIN_PASS": "correct horse"},
        {"ADMIN_PASS_FILE": str(Path(__file__))},
    ],
    ids=lambda set_: next(iter(set_)),
)
def test_they_refuse_what_somebody_may_rely_on_and_they_would_not_use(app_env: str, set_: dict[str, str]) -> None:
    (name,) = set_

    told = f"{name} must not be set with APP_ENV={app_env}, which would not use it."
    assert told in mistakes({"APP_ENV": app_env, **set_})


def test_only_the_test_mode_is_without_authentication() -> None:
    modes = ("production", "demo", "test")

    assert [Settings.read({"APP_ENV": mode}).authentication for mode in modes] == [True, True, False]


def test_the_well_known_password_is_that_of_the_demonstration_alone() -> None:
    modes = ("production", "demo", "test")

    assert [Settings.read({"APP_ENV": mode}).admin_pass for mode in modes] == [None, "password", None]


@pytest.mark.parametrize("line_break", ["", "\n", "\r\n"])
def test_a_secret_can_be_in_a_file(tmp_path: Path, line_break: str) -> None:
    password, secret = tmp_path / "password", tmp_path / "secret"
    password.write_bytes(f" correct horse {line_break}".encode())
    secret.write_bytes(f"{SECRET}{line_break}".encode())

    settings = Settings.read({"ADMIN_PASS_FILE": str(password), "AUTH_SECRET_FILE": str(secret)})
    assert settings.admin_pass == " correct horse "
    assert settings.auth_secret == SECRET.encode()


@pytest.mark.parametrize("name", ["ADMIN_PASS", "AUTH_SECRET"])
def test_a_secret_set_twice_is_a_mistake(name: str) -> None:
    told = mistakes({name: SECRET, f"{name}_FILE": "/run/secrets/it"})

    assert told == [f"{name} and {name}_FILE are both set; one of them must go."]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read from {} (No such file or directory); _FILE must name a readable file."),
        (b"", "must be in the file {}, which is empty."),
        (b" \n", "must be in the file {}, which is empty."),
        (b"\xff" * 40, "must be UTF-8 text, which {} is not."),
        (b"x" * 65_537, "must be in the file {}, which is too long."),
        (b"change-me\n", f"must have at least 32 bytes, and has 9. {LONGER}"),
    ],
)
def test_an_unusable_file_of_a_secret_is_a_mistake(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)

    assert mistakes({"AUTH_SECRET_FILE": str(file)}) == [f"AUTH_SECRET {sentence.format(file)}"]


def test_a_folder_is_no_file_of_a_secret(tmp_path: Path) -> None:
    (told,) = mistakes({"ADMIN_PASS_FILE": str(tmp_path)})

    assert told.startswith(f"ADMIN_PASS cannot be read from {tmp_path} (Is a directory)")


def test_no_secret_is_ever_shown() -> None:
    settings = Settings.read({"ADMIN_PASS": "correct horse", "AUTH_SECRET": SECRET})
    told = mistakes({"ADMIN_PASS": "correct\n" + "x" * 2_000, "AUTH_SECRET": "horse", "DATABASE_URL": "pg://a:horse@b"})

    assert "horse" not in repr(settings)
    assert SECRET not in repr(settings)
    assert "horse" not in " ".join(told)
    assert "correct" not in " ".join(told)


@UNHURRIED
@given(st.dictionaries(st.sampled_from([setting.name for setting in SETTINGS]), st.text(max_size=30)))
def test_no_environment_raises_anything_but_settings_invalid(environ: dict[str, str]) -> None:
    try:
        assert isinstance(Settings.read(environ), Settings)
    except SettingsInvalid as refused:
        told = refused.mistakes
        assert told
        assert all(sentence.endswith(".") for sentence in told)


def test_the_environment_is_that_of_the_process_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("# mine\nPORT=4000\nexport ADMIN_USER=ada\nADMIN_PASS='a$b${PORT}'\nEMPTY\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORT", "5000")
    monkeypatch.delenv("ADMIN_USER", raising=False)
    found = environment()

    assert found["PORT"] == "5000"
    assert found["ADMIN_USER"] == "ada"
    assert found["ADMIN_PASS"] == "a$b${PORT}"
    assert "EMPTY" not in found


def test_without_the_file_the_environment_is_that_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORT", "5000")

    assert environment()["PORT"] == "5000"


def test_a_file_that_is_not_text_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_bytes(b"PORT=\xff\n")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingsInvalid, match=r"^The file \.env cannot be read: .* It must be readable UTF-8 text\.$"):
        environment()


def test_every_setting_has_its_row_and_every_value_its_setting() -> None:
    rows = markdown_table().splitlines()
    names = [setting.name for setting in SETTINGS]

    assert rows[:2] == ["| setting | default | meaning |", "| --- | --- | --- |"]
    assert [row.split("`")[1] for row in rows[2:]] == names
    assert all(row.count(" | ") == 2 and "|  |" not in row for row in rows[2:])
    assert len({name.lower() for name in names}) == len(names) == len(fields(Settings))


def test_every_default_is_a_value_that_could_have_been_set() -> None:
    assert Settings.read({setting.name: setting.default for setting in SETTINGS}) == Settings.read({})
