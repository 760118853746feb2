# syntax=docker/dockerfile:1
# fewlabel on processors: the labeling page, the prediction service and every other command.
#
#   docker build -t fewlabel .
#   docker run --rm fewlabel doctor
#
# docs/how-to/docker.md says how to run it; compose.yaml runs `label` and `serve`.

# A release by its full number: the same file gives the same Python until somebody changes it here.
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS build
# torch of the package index carries 3 GB of CUDA; this one of its own publisher is 190 MB. Both
# are at hand, and pip takes the one for processors, whose version is the higher ("2.13.0+cpu").
# A build without that network sets it to a mirror.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# Add onnx (for `export`), explain, noise or tensorboard as needed.
ARG EXTRAS=photos,web,postgres,tables,tiff
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/fewlabel
WORKDIR /src
# What seldom changes comes first, so that an edit of the code does not install torch again.
COPY constraints.txt ./
RUN /opt/fewlabel/bin/pip install --extra-index-url "${TORCH_INDEX}" -c constraints.txt \
        torch torchvision
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
COPY experiments ./experiments
RUN /opt/fewlabel/bin/pip install --extra-index-url "${TORCH_INDEX}" -c constraints.txt \
        ".[${EXTRAS}]" \
    # It is needed no more, and nobody is to install anything into a running container.
    && /opt/fewlabel/bin/pip uninstall --yes pip

FROM python:${PYTHON}
COPY --from=build /opt/fewlabel /opt/fewlabel
# Numbers and not names: an orchestrator that demands "not root" can tell.
RUN groupadd --gid 1000 fewlabel \
    && useradd --uid 1000 --gid 1000 --home-dir /cache --shell /usr/sbin/nologin fewlabel \
    # Another user than this one may be given to `docker run`; volumes take over these rights.
    && install --directory --mode 1777 /cache /labels /runs
ENV PATH=/opt/fewlabel/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    # The root file system may be read-only: nothing is written but to the volumes and /tmp.
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/cache \
    FEWLABEL_CACHE=/cache/fewlabel \
    MPLCONFIGDIR=/tmp/matplotlib \
    FEWLABEL_PORT=8765
USER 1000:1000
WORKDIR /runs
# /images is to be mounted read-only; features and compiled kernels are kept in /cache.
VOLUME ["/cache", "/labels", "/runs"]
EXPOSE 8765
# The labeling page answers 401 without its token, and lives; `fit` and others listen on no port,
# so run those with --no-healthcheck.
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=4 \
    CMD ["python", "-c", "import os, http.client as h; c = h.HTTPConnection('127.0.0.1', int(os.environ['FEWLABEL_PORT']), timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status >= 500)"]
# PID 1 is fewlabel itself, so `docker stop` reaches it: answers under way are finished.
ENTRYPOINT ["fewlabel"]
CMD ["--help"]
