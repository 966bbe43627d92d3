# Python programs of the live path: the gate, the synthetic shop, and the one-shot service `prepare`.
FROM python:3.11.14-bookworm AS environment
COPY requirements/live.txt /tmp/live.txt
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/live.txt

FROM python:3.11.14-slim-bookworm
# One user id for all images of the project, so that they can read shared volumes.
RUN groupadd --system --gid 10001 showroom \
    && useradd --system --uid 10001 --gid showroom --home-dir /nonexistent --shell /usr/sbin/nologin showroom \
    && install -d -o showroom -g showroom -m 0700 /run/showroom /run/showroom/stream /run/showroom/airflow
COPY --from=environment /opt/venv /opt/venv
COPY include/__init__.py /opt/showroom/include/
COPY include/contracts /opt/showroom/include/contracts
COPY include/clients /opt/showroom/include/clients
COPY include/gate /opt/showroom/include/gate
COPY include/ingest /opt/showroom/include/ingest
COPY include/provision /opt/showroom/include/provision
COPY include/dashboards /opt/showroom/include/dashboards
COPY include/serving /opt/showroom/include/serving
COPY docker/health.py /opt/showroom/docker/
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/showroom \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/showroom
USER 10001:10001
CMD ["python", "-m", "include.gate", "--index", "0"]
