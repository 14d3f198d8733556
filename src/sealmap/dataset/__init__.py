"""From cadastre shapes to labelled chips: rules, burning, splits, chips. No torch here."""
