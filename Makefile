# Thin: what is done, and how, is in .ci/run.
.PHONY: all test race lint fmt fuzz bench failover ci tidy

all: test lint

test:
	go test work

race lint fmt fuzz:
	bash .ci/run $@

bench:
	go test -run='^$$' -bench=. -benchmem ./benchmarks/...

failover:
	go run ./benchmarks/cmd/holdfast failover

ci:
	bash .ci/run

# Writes what `.ci/run tidy worksync` checks.
tidy:
	go work sync
	go list -m -f '{{.Dir}}' | while read -r dir; do (cd "$$dir" && GOWORK=off go mod tidy) || exit 1; done
