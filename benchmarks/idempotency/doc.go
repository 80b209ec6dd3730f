// Package idempotency is the proof of package wrapper/idempotency on real
// processes: servers that are killed before their effect, between effect and
// answer and after both, that hang, whose replies are lost, and whose store is
// killed; and a client of package httpwrap that must lose nothing, duplicate nothing
// and be in doubt of nothing that it need not be. The command is
// `holdfast bench idempotency`.
package idempotency
