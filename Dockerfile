# One image for the application of the demo, the sidecar and every other command.
FROM python:3.12.12-bookworm AS build
WORKDIR /src
RUN pip install --no-cache-dir build==1.6.1 hatchling==1.33.0 setuptools==80.9.0
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY exporter exporter
COPY rules rules
COPY grafana grafana
RUN python -m build --wheel --no-isolation --outdir /wheels

FROM python:3.12.12-slim-bookworm
ENV PYTHONUNBUFFERED=1 \
    MODELWATCH_STORAGE=/var/lib/modelwatch
COPY constraints.txt /tmp/constraints.txt
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --constraint /tmp/constraints.txt "$(ls /wheels/*.whl)[demo]" \
    && rm -r /wheels /tmp/constraints.txt \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin modelwatch \
    && install --directory --owner 10001 --group 10001 --mode 0770 /var/lib/modelwatch
USER 10001:10001
VOLUME /var/lib/modelwatch
EXPOSE 9100 9877
ENTRYPOINT ["modelwatch"]
CMD ["sidecar", "--listen", "0.0.0.0:9877"]
