FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends docker-registry wget && rm -rf /var/lib/apt/lists/* \
    && printf 'version: 0.1\nstorage:\n  filesystem: {rootdirectory: /var/lib/registry}\nhttp: {addr: ":5000"}\n' >/etc/registry.yml
VOLUME /var/lib/registry
EXPOSE 5000
ENTRYPOINT ["docker-registry"]
CMD ["serve", "/etc/registry.yml"]
