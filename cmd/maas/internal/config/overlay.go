package config

import "reflect"

// Overlay returns base with every field replaced that is not zero in over. A boolean can so be
// switched on by a flag, not off.
func Overlay(base, over Config) Config {
	overlay(reflect.ValueOf(&base).Elem(), reflect.ValueOf(over))
	return base
}

func overlay(base, over reflect.Value) {
	for i := range over.NumField() {
		from := over.Field(i)
		switch {
		case from.Kind() == reflect.Struct:
			overlay(base.Field(i), from)
		case !from.IsZero():
			base.Field(i).Set(from)
		}
	}
}
