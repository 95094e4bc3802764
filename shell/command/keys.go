package command

import (
	"context"
	"encoding/hex"
	"strings"

	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/shell/render"
)

// keyVerbs turn keys into what storage and network see, and back.
func keyVerbs() []verb {
	return []verb{
		{
			use: "key encode <hash_key> <sort_key>", short: "show a key as it is stored, in hexadecimal",
			example: "key encode user1 name\nrdb_key_str2hex user1 name",
			aliases: []string{"rdb_key_str2hex"}, min: 2, max: 2, run: runKeyEncode, local: true,
		}, {
			use: "key decode <hex>", short: "show hash key and sort key of a stored key",
			example: "key decode 000575736572316E616D65\nrdb_key_hex2str 00016162",
			aliases: []string{"rdb_key_hex2str"}, min: 1, max: 1, run: runKeyDecode, local: true,
		},
	}
}

func runKeyEncode(_ context.Context, c *call) error {
	hashKey, sortKey, err := c.hashAndSort()
	if err != nil {
		return err
	}
	if len(hashKey) > key.MaxHashKeyLen {
		return usagef("the hash key is too long")
	}
	return c.value("key", strings.ToUpper(hex.EncodeToString(key.Append(nil, hashKey, sortKey))))
}

func runKeyDecode(_ context.Context, c *call) error {
	raw, err := hex.DecodeString(strings.TrimPrefix(strings.TrimPrefix(c.text(0), "hex:"), "0x"))
	if err != nil {
		return usagef(quoted(c.text(0)) + " is not hexadecimal")
	}
	hashKey, sortKey, err := key.Decode(raw)
	if err != nil {
		return usagef("that is no key: " + err.Error())
	}
	p := c.properties()
	p.add("hash_key", render.Bytes(hashKey))
	p.add("sort_key", render.Bytes(sortKey))
	p.local = true
	return p.done()
}
