package boltstore

import (
	"encoding/binary"
	"errors"

	"go.etcd.io/bbolt"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// record is what is kept of a key; times are in microseconds since 1970.
type record struct {
	payload [32]byte
	owner   idempotency.Owner
	token   int64
	run     int64
	lease   int64 // when it ends
	expires int64
	done    bool
	answer  []byte
}

const fixed = 32 + 16 + 4*8 + 1

var errRecord = errors.New("boltstore: the file has a record that cannot be read")

func (r *record) encode() []byte {
	b := make([]byte, 0, fixed+len(r.answer))
	b = append(b, r.payload[:]...)
	b = append(b, r.owner[:]...)
	for _, n := range []int64{r.token, r.run, r.lease, r.expires} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	done := byte(0)
	if r.done {
		done = 1
	}
	return append(append(b, done), r.answer...)
}

// decode reads a record. Its answer is the transaction's.
func decode(b []byte) (r record, err error) {
	if len(b) < fixed {
		return r, errRecord
	}
	n := copy(r.payload[:], b)
	n += copy(r.owner[:], b[n:])
	for _, field := range []*int64{&r.token, &r.run, &r.lease, &r.expires} {
		*field = int64(binary.BigEndian.Uint64(b[n:]))
		n += 8
	}
	r.done, r.answer = b[n] == 1, b[n+1:]
	return r, nil
}

// table is the file in a transaction. The sequence of expires counts the keys.
type table struct{ keys, expires *bbolt.Bucket }

func of(tx *bbolt.Tx) table { return table{tx.Bucket(bucketKeys), tx.Bucket(bucketExpires)} }

func (t table) get(key idempotency.Key) (*record, error) {
	data := t.keys.Get(key[:])
	if data == nil {
		return nil, nil
	}
	r, err := decode(data)
	return &r, err
}

func (t table) put(key idempotency.Key, r *record) error { return t.keys.Put(key[:], r.encode()) }

func (t table) add(key idempotency.Key, r *record) error {
	return errors.Join(t.put(key, r), t.expires.Put(expiry(r.expires, key), nil), t.expires.SetSequence(t.count()+1))
}

func (t table) count() uint64 { return t.expires.Sequence() }

func expiry(at int64, key idempotency.Key) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(at)), key[:]...)
}

func (t table) remove(key idempotency.Key, r *record) error {
	return errors.Join(t.keys.Delete(key[:]), t.expires.Delete(expiry(r.expires, key)), t.expires.SetSequence(t.count()-1))
}

// sweep removes expired keys, more than a reservation adds.
func (t table) sweep(now int64) error {
	for range 4 {
		at, _ := t.expires.Cursor().First()
		if at == nil || int64(binary.BigEndian.Uint64(at)) > now {
			return nil
		}
		r := record{expires: int64(binary.BigEndian.Uint64(at))}
		if err := t.remove(idempotency.Key(at[8:]), &r); err != nil {
			return err
		}
	}
	return nil
}
