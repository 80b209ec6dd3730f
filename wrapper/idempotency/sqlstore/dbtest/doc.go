// Package dbtest runs package sqlstore on real databases: a PostgreSQL server
// that it starts, and SQLite. It is a module of its own, so that their drivers
// are nobody else's.
package dbtest
