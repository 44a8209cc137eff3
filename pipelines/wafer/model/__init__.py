"""The networks that classify wafer maps, and what turns maps into their input."""
