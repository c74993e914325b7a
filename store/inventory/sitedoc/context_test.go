package sitedoc_test

import "context"

// testingContext is for what runs without a *testing.T.
var testingContext = context.Background()
