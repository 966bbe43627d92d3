# MLflow's server, from the nightly batch's lock, so that client and server have the same version.
FROM python:3.11.14-bookworm AS environment
COPY requirements/ml.txt /tmp/ml.txt
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /tmp/ml.txt

FROM python:3.11.14-slim-bookworm
RUN groupadd --system --gid 10001 showroom \
    && useradd --system --uid 10001 --gid showroom --home-dir /tmp --shell /usr/sbin/nologin showroom \
    && install -d -o showroom -g showroom -m 0700 /var/lib/showroom /var/lib/showroom/mlflow
COPY --from=environment /opt/venv /opt/venv
# Files of its health check.
COPY include/__init__.py /opt/showroom/include/
COPY include/contracts /opt/showroom/include/contracts
COPY docker/health.py /opt/showroom/docker/
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/showroom \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/showroom/mlflow
USER 10001:10001
ENTRYPOINT ["python", "-P", "-m", "mlflow", "server"]
