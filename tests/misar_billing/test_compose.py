"""compose.yaml: no container has a secret, a network or a privilege that it does not need."""

import re
import shutil
import stat
import subprocess

import pytest
import yaml

from misar_billing import gunicorn_conf
from tests.source import ROOT

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
# They run once and end.
STEPS = {"migrate", "roles", "operator"}
OF_US = {name for name, service in SERVICES.items() if "build" in service}
OWNER = {"database", "migrate", "roles"}


def seconds(text: str) -> int:
    assert re.fullmatch(r"\d+s", text), text
    return int(text[:-1])


def settled(value: str) -> str:
    """A value as it is without .env: ${NAME:-default} is its default."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def test_it_has_the_service_with_all_that_it_needs():
    assert SERVICES.keys() == {"database", "service", "proxy", "tidy", "seal", "mail"} | STEPS
    assert OF_US == SERVICES.keys() - {"database", "proxy"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_change_nothing_of_itself_and_has_limits(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["pids_limit"]
    assert "/tmp" in service["tmpfs"]  # noqa: S108 (inside the container)
    assert service["logging"] == {"driver": "local"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_that_stays_is_watched_and_started_again_and_a_step_is_not(name):
    service = SERVICES[name]
    if name in STEPS:
        assert service["restart"] == "no"
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"
        assert seconds(service["healthcheck"]["timeout"]) <= seconds(service["healthcheck"]["interval"])
        assert seconds(service["stop_grace_period"]) >= 20


def test_only_the_database_and_the_two_steps_of_the_owner_have_the_owners_password():
    assert {name for name, each in SERVICES.items() if "owner_password" in each.get("secrets", [])} == OWNER
    assert {name for name, each in SERVICES.items() if "superuser_password" in each.get("secrets", [])} == {
        "database"
    }
    for name in SERVICES.keys() - OWNER:
        words = str(SERVICES[name])
        assert not re.search(r"owner|POSTGRES_PASSWORD|superuser", words), name


def test_each_command_uses_the_role_that_it_should():
    used = {}
    for name in OF_US:
        environment = SERVICES[name]["environment"]
        url = re.fullmatch(r"postgres://misar_(\w+)@database/misar_billing", environment["DATABASE_URL"])
        assert url, name
        used[name] = url[1]
        # Its password is a secret that this container has.
        assert environment["DATABASE_PASSWORD_FILE"] == f"/run/secrets/{url[1]}_password"
        assert f"{url[1]}_password" in SERVICES[name]["secrets"]
    assert used == {
        **dict.fromkeys(("migrate", "roles"), "owner"),
        **dict.fromkeys(("service", "tidy", "mail"), "runtime"),
        **dict.fromkeys(("seal", "operator"), "operator"),
    }
    assert len(SERVICES["roles"]["secrets"]) == 3
    assert all(len(SERVICES[name]["secrets"]) == 1 for name in OF_US - {"roles"})


def test_every_secret_is_a_file_that_git_and_the_image_leave_out():
    used = {name for each in SERVICES.values() for name in each.get("secrets", [])}
    assert COMPOSE["secrets"] == {name: {"file": f"./deploy/secrets/{name}"} for name in used}
    assert "/deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert "deploy" in (ROOT / ".dockerignore").read_text().splitlines()
    made = re.findall(r"^for name in ([a-z ]+); do$", (ROOT / "deploy/make_secrets.sh").read_text(), re.M)
    assert {f"{name}_password" for name in made[0].split()} == used


def test_no_container_gets_a_secret_from_the_file_of_settings():
    names = re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert not {"POSTGRES_PASSWORD", "RUNTIME_DATABASE_URL", "OPERATOR_DATABASE_URL"} & set(names)
    assert {name for name, each in SERVICES.items() if "env_file" in each} == OF_US


def test_only_what_uses_the_database_reaches_it_and_only_the_proxy_is_published():
    assert {name for name, each in SERVICES.items() if "ports" in each} == {"proxy"}
    assert {name for name, each in SERVICES.items() if "books" in each["networks"]} == OF_US | {"database"}
    assert {name for name, each in SERVICES.items() if "web" in each["networks"]} == {"proxy", "service"}
    assert {name for name, each in SERVICES.items() if "outside" in each["networks"]} == {
        *("service", "mail", "operator")
    }
    assert COMPOSE["networks"]["books"] == COMPOSE["networks"]["monitoring"] == {"internal": True}
    assert {name for name, each in SERVICES.items() if "monitoring" in each["networks"]} == {
        "proxy",
        "service",
    }
    # Plain http is only for this machine, unless .env says otherwise.
    http, https = (settled(port) for port in SERVICES["proxy"]["ports"])
    assert http == "127.0.0.1:80:8080"
    assert https == "443:8443"


def test_the_service_trusts_the_network_of_the_proxy_and_no_other():
    [network] = COMPOSE["networks"]["web"]["ipam"]["config"]
    assert SERVICES["service"]["environment"]["TRUSTED_PROXIES"] == network["subnet"]
    assert settled(network["subnet"]) == "172.31.255.0/28"


def test_stopping_takes_longer_than_draining_and_what_runs():
    service = SERVICES["service"]
    drain = int(service["environment"]["DRAIN_SECONDS"])
    assert seconds(service["stop_grace_period"]) > drain + gunicorn_conf.graceful_timeout


def test_the_steps_come_in_their_order():
    def after(name):
        wanted = SERVICES[name]["depends_on"]
        return (
            wanted if isinstance(wanted, list) else {each: how["condition"] for each, how in wanted.items()}
        )

    assert after("migrate") == {"database": "service_healthy"}
    assert after("roles") == {"migrate": "service_completed_successfully"}
    for name in OF_US - {"migrate", "roles"}:
        assert after(name) == {"roles": "service_completed_successfully"}
    assert after("proxy") == ["service"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_file_that_is_mounted_is_in_the_repository_or_made_by_the_operator(name):
    for mount in SERVICES[name].get("volumes", []):
        source, _, rest = mount.partition(":")
        if not source.startswith("./"):
            assert source in COMPOSE["volumes"]
            continue
        assert rest.endswith(":ro")
        assert (ROOT / source).exists() or source == "./deploy/secrets/certificate"


def test_only_you_reach_the_secrets_and_the_proxys_user_can_enter_the_folder_that_it_mounts(tmp_path):
    shutil.copy(ROOT / "deploy/make_secrets.sh", tmp_path)
    for _ in range(2):
        subprocess.run(["sh", tmp_path / "make_secrets.sh"], check=True, capture_output=True, umask=0o077)
    secrets = tmp_path / "secrets"
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in secrets.iterdir()}
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert modes.pop("certificate") == 0o755
    assert modes == {name: 0o444 for name in COMPOSE["secrets"]}
    assert "./deploy/secrets/certificate:/certificate:ro" in SERVICES["proxy"]["volumes"]


def test_the_service_listens_where_the_proxy_looks_whatever_the_file_of_settings_says():
    environment = SERVICES["service"]["environment"]
    assert environment["HOST"] == environment["INTERNAL_HOST"] == "0.0.0.0"  # noqa: S104 (in its container)
    assert SERVICES["proxy"]["environment"]["SERVER_ONE"] == f"service:{environment['PORT']}"


def test_the_file_of_settings_has_those_of_the_web_server():
    named = set(re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    read = set()
    for file in ("gunicorn_conf", "internal_listener"):
        code = (ROOT / f"misar_billing/{file}.py").read_text()
        read |= set(re.findall(r'environ\.get\("([A-Z_]+)"', code))
    assert len(read) > 8
    assert read <= named


def test_what_watches_shows_that_it_lives_where_its_check_looks():
    for name in ("tidy", "seal", "mail"):
        file = SERVICES[name]["environment"]["HEARTBEAT_FILE"]
        assert f"find {file} " in SERVICES[name]["healthcheck"]["test"][-1]
        assert "--watch" in SERVICES[name]["command"]
