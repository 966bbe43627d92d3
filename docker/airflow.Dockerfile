# Airflow with the DAGs, the plugin and the imported stages.
FROM flink:2.3.0 AS flink

# The project's jar for Flink (flink/java), compiled with Flink's class path; `jar` is part of the JDK.
FROM maven:3.9.11-eclipse-temurin-17 AS jar
COPY --from=flink /opt/flink/opt/flink-python-2.3.0.jar /opt/flink/lib/flink-dist-2.3.0.jar /build/libraries/
COPY flink/java /build/java
RUN javac -proc:none -cp '/build/libraries/*' -d /build/classes $(find /build/java -name '*.java') \
    && cp -r /build/java/META-INF /build/classes/ \
    && jar --create --file /build/showroom-flink.jar --no-manifest -C /build/classes .

FROM python:3.11.14-bookworm AS environment
COPY requirements.txt /tmp/airflow/requirements.txt
COPY requirements/containers.txt /tmp/airflow/containers.txt
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
    -r /tmp/airflow/requirements.txt -r /tmp/airflow/containers.txt

# Versions of the nightly batch. Its lock is complete, and contains versions that some packages' requirements exclude.
FROM python:3.11.14-bookworm AS batch
COPY requirements/ml.txt /tmp/ml.txt
RUN python -m venv /opt/batch \
    && /opt/batch/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /tmp/ml.txt

FROM python:3.11.14-slim-bookworm
# Each container has its own AIRFLOW_HOME, because Airflow writes a configuration there; shared files are in volumes.
RUN groupadd --system --gid 10001 showroom \
    && useradd --system --uid 10001 --gid showroom --home-dir /tmp --shell /usr/sbin/nologin showroom \
    && install -d -o showroom -g showroom -m 0700 /run/showroom /run/showroom/airflow /opt/airflow \
    /var/lib/showroom /var/lib/showroom/flink /var/lib/showroom/airflow /var/lib/showroom/batch
COPY --from=environment /opt/venv /opt/venv
COPY --from=batch /opt/batch /opt/batch
# Files that a submission of the stream job uploads.
COPY --from=jar /build/showroom-flink.jar /opt/showroom/jars/
COPY include/__init__.py /opt/showroom/include/
COPY include/contracts /opt/showroom/include/contracts
COPY include/clients /opt/showroom/include/clients
COPY include/ingest /opt/showroom/include/ingest
COPY include/gate /opt/showroom/include/gate
COPY include/archive /opt/showroom/include/archive
COPY include/dashboards /opt/showroom/include/dashboards
COPY include/serving /opt/showroom/include/serving
COPY include/batch /opt/showroom/include/batch
COPY include/supervise /opt/showroom/include/supervise
COPY plugins /opt/showroom/plugins
COPY dags /opt/showroom/dags
COPY docker/airflow /opt/showroom/docker/airflow
COPY docker/health.py /opt/showroom/docker/
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/showroom:/opt/showroom/plugins \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AIRFLOW_HOME=/opt/airflow
WORKDIR /opt/showroom
USER 10001:10001
ENTRYPOINT ["bash", "/opt/showroom/docker/airflow/start.sh"]
CMD ["version"]
