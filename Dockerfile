# A tag, or a tag with its digest, which nobody can move: RUNTIME=3.3-2@sha256:<digest>.
ARG RUNTIME=3.3-2
FROM astrocrpublic.azurecr.io/runtime:${RUNTIME}

# The Astro CLI that the operators run. Its archive is held to ASTRO_CLI_SHA256, which a person looked up and wrote here
# (docs/install.md: "Build the management Deployment"); then the executable's own is noted beside it, for the doctor. Only
# BUILD=development believes the release's own list instead, which whoever replaced the archive could have replaced as
# well.
ARG ASTRO_CLI_VERSION=1.45.0
ARG ASTRO_CLI_SHA256=""
ARG BUILD=release
USER root
RUN set -eu; \
    archive="astro_${ASTRO_CLI_VERSION}_linux_amd64.tar.gz"; \
    release="https://github.com/astronomer/astro-cli/releases/download/v${ASTRO_CLI_VERSION}"; \
    list="astro_${ASTRO_CLI_VERSION}_checksums.txt"; \
    if [ -z "${ASTRO_CLI_SHA256}" ] && [ "${BUILD}" != development ]; then \
        echo "ASTRO_CLI_SHA256 is empty, expected the SHA-256 of ${archive}. Look it up in ${release}/${list}, and" \
            "write it into the Dockerfile, or give it by --build-arg. To try without: --build-arg BUILD=development." \
            >&2; \
        exit 1; \
    fi; \
    cd "$(mktemp -d)"; \
    curl --fail --silent --show-error --location --remote-name "${release}/${archive}"; \
    if [ -n "${ASTRO_CLI_SHA256}" ]; then \
        echo "${ASTRO_CLI_SHA256}  ${archive}" > "${list}"; \
    else \
        curl --fail --silent --show-error --location --remote-name "${release}/${list}"; \
    fi; \
    grep --fixed-strings "  ${archive}" "${list}" | sha256sum --check --strict; \
    tar --extract --gzip --file "${archive}" --directory /usr/local/bin astro; \
    if [ -n "${ASTRO_CLI_SHA256}" ]; then sha256sum /usr/local/bin/astro > /usr/local/bin/astro.sha256; fi; \
    rm -rf "${PWD}"; \
    astro version
USER astro

# A push passes the scheduler five times on its way to running code: one second of sleep each is what people wait for.
ENV AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME=0.25

# Nine of ten seconds that a task's start takes are imports: plugins/preloading.py makes them before tasks are forked.
ENV AIRFLOW__CORE__LAZY_LOAD_PLUGINS=False

# A worker that misses the moment in which a task's process ends looks again after so many seconds, and keeps the slot
# until then: every second task's, for five seconds by default.
ENV AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL=1
# A task outlives Airflow's API server as long as by default: so many such intervals, where it would be three of five.
ENV AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS=15

# Plans and decision records are read as rendered fields; the default cuts them after 4,096 characters.
ENV AIRFLOW__CORE__MAX_TEMPLATED_FIELD_LENGTH=100000
