FROM astrocrpublic.azurecr.io/runtime:3.3-2

# The Astro CLI that the operators run. The archive is held to the checksums of its own release, and, where
# ASTRO_CLI_SHA256 is given, to that one too (docs/install.md: "Build the management Deployment").
ARG ASTRO_CLI_VERSION=1.45.0
ARG ASTRO_CLI_SHA256=""
USER root
RUN set -eu; \
    archive="astro_${ASTRO_CLI_VERSION}_linux_amd64.tar.gz"; \
    release="https://github.com/astronomer/astro-cli/releases/download/v${ASTRO_CLI_VERSION}"; \
    cd "$(mktemp -d)"; \
    curl --fail --silent --show-error --location --remote-name "${release}/${archive}"; \
    curl --fail --silent --show-error --location --remote-name "${release}/astro_${ASTRO_CLI_VERSION}_checksums.txt"; \
    grep --fixed-strings "  ${archive}" "astro_${ASTRO_CLI_VERSION}_checksums.txt" | sha256sum --check --strict; \
    if [ -n "${ASTRO_CLI_SHA256}" ]; then echo "${ASTRO_CLI_SHA256}  ${archive}" | sha256sum --check --strict; fi; \
    tar --extract --gzip --file "${archive}" --directory /usr/local/bin astro; \
    rm -rf "${PWD}"; \
    astro version
USER astro

# A push passes the scheduler five times on its way to running code: one second of sleep each is what people wait for.
ENV AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME=0.25

# Plans and decision records are read as rendered fields; the default cuts them after 4,096 characters.
ENV AIRFLOW__CORE__MAX_TEMPLATED_FIELD_LENGTH=100000
