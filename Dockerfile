# Serving: POST /score and the Open Inference Protocol for the champion. docs/images.md says how it is built and run.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
COPY requirements-serving.lock /build/
RUN python3 -m venv /opt/spanishgas \
    && /opt/spanishgas/bin/pip install --require-hashes --only-binary :all: --no-deps -r /build/requirements-serving.lock \
    && /opt/spanishgas/bin/pip uninstall --yes --quiet pip setuptools \
    && find /opt/spanishgas -depth -type d \( -name tests -o -name __pycache__ \) -exec rm -r {} +
COPY spanishgas /build/spanishgas
RUN mv /build/spanishgas "$(/opt/spanishgas/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="spanishgas-serving" \
      org.opencontainers.image.description="Churn scores and recommendations in real time" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 spanishgas \
    && useradd --uid 10001 --gid spanishgas --no-create-home --home-dir /srv/spanishgas spanishgas \
    && install -d -o spanishgas -g spanishgas /srv/spanishgas /srv/spanishgas/cache \
    && rm -rf /usr/local/lib/python3.*/ensurepip /usr/local/lib/python3.*/site-packages/* /usr/local/bin/pip* \
        /usr/bin/apt* /usr/bin/dpkg* /usr/bin/perl* /var/lib/apt /var/cache/apt \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=build /opt/spanishgas /opt/spanishgas
COPY LICENSE /usr/share/doc/spanishgas/
# The bill of materials, where `make sbom` has made one.
COPY sbom/spanishgas-serving /usr/share/doc/spanishgas/sbom
ENV PATH=/opt/spanishgas/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SPANISHGAS_SERVE_HOST=0.0.0.0 \
    SPANISHGAS_SERVE_DATA_ROOT=/srv/spanishgas/data \
    SPANISHGAS_SERVE_CACHE=/srv/spanishgas/cache
USER 10001:10001
WORKDIR /srv/spanishgas
EXPOSE 8080 8081 8082
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-m", "spanishgas.serving.health"]
ENTRYPOINT ["python", "-m", "spanishgas.serving"]
