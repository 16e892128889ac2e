module github.com/slogworks/slogworks

go 1.26

require (
	github.com/lmittmann/tint v1.2.1
	github.com/samber/slog-multi v1.8.0
)

require (
	github.com/samber/lo v1.53.0 // indirect
	github.com/samber/slog-common v0.21.0 // indirect
	golang.org/x/text v0.22.0 // indirect
)
