"""Facts of the trade that several rooms share: civil time, tariff periods, holidays, margin, units."""
