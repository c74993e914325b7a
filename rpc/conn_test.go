package rpc_test

import (
	"testing"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/rpctest"
)

func TestLoopbackKeepsTheContract(t *testing.T) {
	rpctest.Run(t, func(_ *testing.T, region *rpc.Region) rpctest.Dial { return rpc.Loopback(region, rpctest.Rack) })
}
