package onebox

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/idl/key"
)

// makeTables creates the tables that are missing and waits until each partition
// of each answers a read, which is what READY promises.
func (b *box) makeTables(ctx context.Context) error {
	if len(b.options.Tables) == 0 {
		return nil
	}
	c, err := client.Open(ctx, b.options.metaList())
	if err != nil {
		return err
	}
	defer c.Close()
	a := admin.New(c)
	for _, t := range b.options.Tables {
		if err := b.create(ctx, a, t); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range b.options.Tables {
		group.Go(func() error { return waitServing(ctx, c.Table(t.Name), t.Partitions) })
	}
	return group.Wait()
}

// create makes a table that is not there. Right after the start a meta may not
// know all nodes yet and refuses; it is asked again until ctx ends.
func (b *box) create(ctx context.Context, a *admin.Admin, t Table) error {
	there, err := exists(ctx, a, t)
	if there || err != nil {
		return err
	}
	return poll(ctx, func() error {
		_, err := a.CreateTable(ctx, t.Name, admin.CreateOptions{
			Partitions: t.Partitions, Replicas: b.options.replicasOf(t),
		})
		return err
	})
}

// exists looks for a table; one of another shape is an error, not a reason to
// go on with something else than was asked for.
func exists(ctx context.Context, a *admin.Admin, t Table) (bool, error) {
	found, err := a.GetTable(ctx, t.Name)
	switch {
	case errors.Is(err, client.ErrTableNotFound):
		return false, nil
	case err != nil:
		return false, err
	case found.Partitions%t.Partitions != 0, t.Replicas != 0 && found.Replicas != t.Replicas: // splits double the partitions
		return true, fmt.Errorf("exists with %d partitions and %d replicas, not as asked for", found.Partitions, found.Replicas)
	}
	return true, nil
}

// waitServing reads one key of every partition until each has answered.
func waitServing(ctx context.Context, t *client.Table, partitions int) error {
	group, ctx := errgroup.WithContext(ctx)
	for index := range partitions {
		hashKey := keyIn(int32(index), int32(partitions))
		group.Go(func() error {
			err := poll(ctx, func() error {
				_, err := t.Exist(ctx, hashKey, nil)
				return err
			})
			if err != nil {
				return fmt.Errorf("partition %d of %s does not serve: %w", index, t.Name(), err)
			}
			return nil
		})
	}
	return group.Wait()
}

// keyIn finds a hash key that belongs to a partition; a handful of tries per
// partition do.
func keyIn(index, count int32) []byte {
	for n := 0; ; n++ {
		hashKey := strconv.AppendInt([]byte("onebox-probe-"), int64(n), 10)
		if key.PartitionIndex(key.Hash(hashKey, nil), count) == index {
			return hashKey
		}
	}
}
