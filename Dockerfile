# An image without build tools and pip, which runs as non-root on a read-only file system.
# Tags name versions. For reproducible bytes, add the digest to each FROM.

# The playground's files and their licences. Production serves them with PLAYGROUND=true only.
FROM node:20-bookworm-slim AS playground
WORKDIR /playground
COPY playground ./
RUN npm ci --ignore-scripts --no-audit --no-fund && npm run build

FROM python:3.13.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /app
# Dependencies first: a change of the code does not download them again.
COPY requirements.txt ./
RUN pip --python /app/bin/python install --no-compile --require-hashes -r requirements.txt
COPY . ./
RUN pip --python /app/bin/python wheel --no-index --no-deps --no-build-isolation -w dist . \
    && pip --python /app/bin/python install --no-compile --no-index --no-deps dist/*.whl \
    && pip --python /app/bin/python uninstall --yes flit_core
# Unchecked bytecode, because neither it nor its source changes in the image.
RUN python -m compileall -q --invalidation-mode unchecked-hash /app/lib

FROM python:3.13.12-slim-bookworm
# The base image has no bytecode, so Python would compile its library at every start.
RUN pip uninstall --yes --root-user-action ignore pip \
    && python -m compileall -q --invalidation-mode unchecked-hash \
        -x '/(ensurepip|idlelib|pydoc_data|tkinter|turtledemo)/' /usr/local/lib/python3.13 \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /srv \
        --shell /usr/sbin/nologin countries
COPY --from=build /app /app
COPY --from=playground /playground/dist /app/share/graphql-api/playground/dist
ENV PATH=/app/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Production refreshes the data every six hours, unless REFRESH_INTERVAL is set.
ENV ENVIRONMENT=production HOST=0.0.0.0
WORKDIR /srv
# By number, so that an orchestrator can verify that it is not root (runAsNonRoot).
USER 10001:10001
EXPOSE 8000
# Python handles SIGINT from its start. As process 1 it ignores SIGTERM until this program handles it.
STOPSIGNAL SIGINT
# http.client, because urllib would use the proxy that is meant for the providers.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", "\
import http.client, os, sys; \
host = (os.environ.get('HOST') or '127.0.0.1').strip(' []'); \
host = '127.0.0.1' if host in ('0.0.0.0', '::') else host; \
server = http.client.HTTPConnection(host, os.environ.get('PORT') or 8000, timeout=4); \
server.request('GET', '/healthz'); \
sys.exit(server.getresponse().status != 200)"]
# docker build --build-arg REVISION=$(git rev-parse HEAD)
ARG REVISION=unknown
LABEL org.opencontainers.image.title="graphql-api" \
    org.opencontainers.image.description="A GraphQL API for the world's countries" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.revision="$REVISION" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.base.name="docker.io/library/python:3.13.12-slim-bookworm"
ENTRYPOINT ["graphql-api"]
CMD ["serve"]
