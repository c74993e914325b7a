package clienttest

import "strconv"

func ref(id int) string { return strconv.Itoa(id) }

func anyOf[T any](v T, err error) (any, error) { return v, err }
