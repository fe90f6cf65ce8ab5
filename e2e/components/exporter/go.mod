module pgpool-operators/e2e/exporter

go 1.26.0

require github.com/lib/pq v1.10.2
