// Package promwrap tells Prometheus what the clients of a process do:
//
//	collector, err := promwrap.New(promwrap.Config{})
//	…
//	prometheus.MustRegister(collector)
//	client, err := resilience.New(resilience.Config{Service: "users", Observer: collector, …})
//
// One collector takes as many clients as there are. Clients of one service in
// one process are added up.
//
//	metric                                 labels                   what it counts
//	holdfast_calls_total                   service method outcome   calls that ended; outcome is the last attempt's
//	holdfast_calls_ambiguous_total         service method           of these, such as failed and may have been carried out
//	holdfast_calls_given_up_total          service reason           of these, such as failed, by why there was no further attempt
//	holdfast_call_duration_seconds         service method           histogram, retries and waits included
//	holdfast_attempts_total                service node outcome     attempts that reached a node, or tried to
//	holdfast_retries_total                 service method           of these, such as were not the first
//	holdfast_fallbacks_total               service result           fallbacks: answered, failed
//	holdfast_nodes                         service                  gauge: nodes in the set
//	holdfast_node_in_flight                service node             gauge
//	holdfast_node_ejected                  service node             gauge: clients that hold the node out
//	holdfast_node_ejections_total          service node             times it was ejected
//	holdfast_node_ejected_seconds_total    service node             time it was out, what goes on now included
//	holdfast_ejections_total               service decision         enforced; prevented by the cap; spared by the guard, since the others did no better
//	holdfast_readmissions_total            service                  ejected nodes that are back
//	holdfast_source_failures_total         service                  times the source of nodes could not be read or believed
//	holdfast_breaker_state                 service state            gauge: clients whose service breaker is in that state
//	holdfast_breaker_transitions_total     service state            service breakers' changes, to that state
//	holdfast_breaker_open_seconds_total    service                  time they were open, what goes on now included
//	holdfast_retry_budget_tokens           service                  gauge: retries that may be made at once
//
// A gauge of a state alone misses what happens between two scrapes, hence the
// counters of changes and of time beside it. dashboard.json is a dashboard for
// Grafana of these metrics.
//
// Labels are bounded: a service's methods and nodes beyond the bounds of Config
// share one value, "(others)". A node's series end when it leaves the set.
package promwrap
