// Package monitor watches the power states of many machines, evenly spread over time, and reports
// changes:
//
//	m, err := monitor.New(monitor.Config{
//		Asker:   controller, // of package power
//		Changed: func(_ context.Context, o monitor.Observation) { log.Println(o.Name, o.State, o.Err) },
//	})
//	err = m.Update(targets)
//	err = m.Run(ctx)
//
// A BMC that fails is asked more and more rarely, at most every sixteenth time. 13,500 BMCs at the
// default interval take about a tenth of a processor core.
package monitor
