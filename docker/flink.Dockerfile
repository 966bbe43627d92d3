# Flink with Python and the stream job. Flink is copied into the image of Python 3.11, because the distribution of the
# Flink image has no Python 3.11, while Flink and its Java run on any distribution.
FROM flink:2.3.0 AS flink

FROM maven:3.9.11-eclipse-temurin-17 AS connector
COPY local/install/pom.xml /build/pom.xml
# The execution of the local stack's pom.xml that fetches the Kafka connector; Maven verifies its checksum.
RUN mvn --batch-mode --no-transfer-progress --file /build/pom.xml dependency:copy@flink -Dinto=/build/jars

# The project's jar for Flink (flink/java), compiled with Flink's class path; `jar` is part of the JDK.
FROM maven:3.9.11-eclipse-temurin-17 AS jar
COPY --from=flink /opt/flink/opt/flink-python-2.3.0.jar /opt/flink/lib/flink-dist-2.3.0.jar /build/libraries/
COPY flink/java /build/java
RUN javac -proc:none -cp '/build/libraries/*' -d /build/classes $(find /build/java -name '*.java') \
    && cp -r /build/java/META-INF /build/classes/ \
    && jar --create --file /build/showroom-flink.jar --no-manifest -C /build/classes .

FROM python:3.11.14-bookworm AS environment
COPY requirements/flink.txt /tmp/flink.txt
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/flink.txt

FROM python:3.11.14-slim-bookworm
# procps and jemalloc as in Flink's own image, because its scripts require them.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libjemalloc2 libsnappy1v5 procps \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 showroom \
    && useradd --system --uid 10001 --gid showroom --home-dir /tmp --shell /usr/sbin/nologin showroom \
    && install -d -o showroom -g showroom -m 0700 /run/showroom /run/showroom/stream /var/lib/showroom /var/lib/showroom/flink
COPY --from=flink /opt/java/openjdk /opt/java/openjdk
COPY --from=flink --chown=showroom:showroom /opt/flink /opt/flink
# On the class path, because Flink overwrites pipeline.jars of a job submitted over REST.
COPY --from=connector /build/jars/flink/ /opt/flink/lib/
COPY --from=jar /build/showroom-flink.jar /opt/flink/lib/
COPY --from=environment /opt/venv /opt/venv
COPY include/__init__.py /opt/showroom/include/__init__.py
COPY include/contracts /opt/showroom/include/contracts
COPY flink /opt/showroom/flink
COPY docker/flink /opt/showroom/docker/flink
COPY docker/health.py /opt/showroom/docker/
ENV JAVA_HOME=/opt/java/openjdk \
    FLINK_HOME=/opt/flink \
    FLINK_CONF_DIR=/opt/flink/conf \
    PATH=/opt/venv/bin:/opt/flink/bin:/opt/java/openjdk/bin:$PATH \
    PYTHONPATH=/opt/showroom \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/showroom
USER 10001:10001
ENTRYPOINT ["bash", "/opt/showroom/docker/flink/start.sh"]
CMD ["jobmanager"]
