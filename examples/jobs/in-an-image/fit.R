# How far does a car of 1920 need to stop?
speed <- as.numeric(commandArgs(trailingOnly = TRUE)[[1]])
fit <- lm(dist ~ speed, data = cars)
distance <- predict(fit, data.frame(speed = speed))
cat(sprintf("at %g mph: %.2f feet\n", speed, distance))
write.csv(data.frame(speed, distance), "distance.csv", row.names = FALSE)
