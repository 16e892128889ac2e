module github.com/slogworks/slogworks/e2e

go 1.26.0

require (
	github.com/slogworks/slogworks v0.0.0-00010101000000-000000000000
	go.opentelemetry.io/otel/trace v1.47.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	go.opentelemetry.io/otel v1.47.0 // indirect
)

replace github.com/slogworks/slogworks => ../
