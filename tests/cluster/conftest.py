"""A cluster for the tests of this folder, and the service that enters it through its workers."""

from collections.abc import Iterator

import pytest

from tests.cluster import servers
from tests.cluster.servers import Cluster
from tests.deployment import Deployment


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with servers.place(tmp_path_factory.mktemp("cluster")) as here:
        made = Cluster(here)
        try:
            made.fill()
            yield made
        finally:
            made.end()


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The service as the runtime role, on the addresses of the workers, with production's limits."""
    deployment = Deployment(tmp_path_factory.mktemp("entry"))
    deployment.service_key = cluster.service_key
    deployment.environment |= {"DATABASE_URL": cluster.url, "WEB_THREADS": "8", "LIMITS_TIMES": "1"}
    with deployment.serving():
        yield deployment
