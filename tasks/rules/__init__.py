"""Association rules: what occurs together more often than chance has it, in baskets or in the columns of a table.

`transactions` and `columns` make the data, `itemsets` counts what is frequent, `association` makes rules of it and drops
redundant ones, `judgement` tests them, and `wording` tells them.
"""
