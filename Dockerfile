# The server alone: no embedded PostgreSQL, no compiler, no root.
FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /opt/tenantry
COPY requirements/server.txt requirements/server.txt
RUN /opt/tenantry/bin/pip install --no-cache-dir --require-hashes -r requirements/server.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/tenantry/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --home-dir /data --create-home tenantry
COPY --from=build /opt/tenantry /opt/tenantry
ENV PATH="/opt/tenantry/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PORT=3000 \
    TENANTRY_DATA=/data
USER tenantry
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/ready', timeout=2)"]
ENTRYPOINT ["tenantry"]
CMD ["serve", "--host", "0.0.0.0"]
